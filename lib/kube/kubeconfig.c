// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/base64.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/kube/object.h"
#include "lib/kube/yaml.h"

#define FILE_MAX (1U << 20)

enum { URL, CA_FILE, CA_PEM, TOKEN, TOKEN_FILE, CERT_FILE, CERT_PEM, KEY_FILE, KEY_PEM, NAMESPACE, TEXTS };

struct kubeconfig {
    char *texts[TEXTS];
    struct kube_options options;
};

struct kubeconfig *kubeconfig_free(struct kubeconfig *config) {
    if (!config)
        return NULL;
    for (size_t i = 0; i < TEXTS; i++) {
        if (config->texts[i])
            explicit_bzero(config->texts[i], strlen(config->texts[i]));
        free(config->texts[i]);
    }
    free(config);
    return NULL;
}

const struct kube_options *kubeconfig_options(const struct kubeconfig *config) {
    return &config->options;
}

const char *kubeconfig_namespace(const struct kubeconfig *config) {
    return config->texts[NAMESPACE];
}

static int read_file(const char *path, struct str *ret, struct err *err) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    char part[4096];
    ssize_t n = fd < 0 ? -1 : 0;
    while (fd >= 0 && (n = read(fd, part, sizeof part)) > 0)
        if (ret->len + (size_t)n > FILE_MAX || str_append_bytes(ret, part, (size_t)n) < 0)
            return err_set(err, -EMSGSIZE, "kubeconfig %.120s is larger than %u bytes", path, FILE_MAX);
    return n < 0 ? err_set(err, errno == ENOENT ? -ENOENT : -EIO, "kubeconfig %.120s: %s", path, err_name(errno)) : 0;
}

// "clusters" and "cluster": the part of that name in the list.
static const struct json *named(const struct json *file, const char *list, const char *member, const char *name) {
    const struct json *all = json_get(file, list);
    for (size_t i = 0; all && name && i < json_length(all); i++)
        if (str_eq(json_get_text(json_at(all, i), "name"), name))
            return json_get(json_at(all, i), member);
    return NULL;
}

static int take_text(struct kubeconfig *config, int at, const struct json *from, const char *name, struct err *err) {
    const char *text = json_get_text(from, name);
    config->texts[at] = str_empty(text) ? NULL : mem_strdup(text);
    return str_empty(text) || config->texts[at] ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int take_path(struct kubeconfig *config, int at, const char *directory, const struct json *from,
                     const char *name, struct err *err) {
    const char *text = json_get_text(from, name);
    if (str_empty(text))
        return 0;
    config->texts[at] = text[0] == '/' ? mem_strdup(text) : mem_printf("%s/%s", directory, text);
    return config->texts[at] ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int take_data(struct kubeconfig *config, int at, const struct json *from, const char *name, struct err *err) {
    const char *text = json_get_text(from, name);
    if (str_empty(text))
        return 0;
    size_t len = 0;
    int r = base64_decode(text, strlen(text), &config->texts[at], &len);
    return r < 0 ? err_set(err, r, "kubeconfig: %s: %s", name, r == -EBADMSG ? "no base64" : "out of memory") : 0;
}

static int take_cluster(struct kubeconfig *config, const char *directory, const struct json *cluster, struct err *err) {
    if (str_eq(json_get_text(cluster, "insecure-skip-tls-verify"), "true"))
        return err_set(err, -EOPNOTSUPP,
                       "kubeconfig: insecure-skip-tls-verify is not served; give certificate-authority(-data)");
    int r = take_text(config, URL, cluster, "server", err);
    if (r == 0)
        r = take_path(config, CA_FILE, directory, cluster, "certificate-authority", err);
    if (r == 0)
        r = take_data(config, CA_PEM, cluster, "certificate-authority-data", err);
    if (r == 0 && !config->texts[URL])
        r = err_set(err, -EBADMSG, "kubeconfig: the cluster has no server");
    return r;
}

static int take_user(struct kubeconfig *config, const char *directory, const struct json *user, struct err *err) {
    static const char *const other[] = {"exec", "auth-provider", "username"};
    for (size_t i = 0; i < ARRAY_SIZE(other); i++)
        if (json_get(user, other[i]))
            return err_set(err, -EOPNOTSUPP,
                           "kubeconfig: '%s' is not served; use a token, a token file or a client certificate",
                           other[i]);
    int r = take_text(config, TOKEN, user, "token", err);
    if (r == 0)
        r = take_path(config, TOKEN_FILE, directory, user, "tokenFile", err);
    if (r == 0)
        r = take_path(config, CERT_FILE, directory, user, "client-certificate", err);
    if (r == 0)
        r = take_path(config, KEY_FILE, directory, user, "client-key", err);
    if (r == 0)
        r = take_data(config, CERT_PEM, user, "client-certificate-data", err);
    return r < 0 ? r : take_data(config, KEY_PEM, user, "client-key-data", err);
}

static int take_context(struct kubeconfig *config, const char *directory, const struct json *file, const char *name,
                        struct err *err) {
    name = name ? name : json_get_text(file, "current-context");
    if (str_empty(name))
        return err_set(err, -ENOENT, "kubeconfig: there is no current-context; name a context");
    const struct json *context = named(file, "contexts", "context", name);
    if (!context)
        return err_set(err, -ENOENT, "kubeconfig: there is no context '%.100s'", name);
    const struct json *cluster = named(file, "clusters", "cluster", json_get_text(context, "cluster"));
    const struct json *user = named(file, "users", "user", json_get_text(context, "user"));
    if (!cluster || !user)
        return err_set(err, -ENOENT, "kubeconfig: the %s of context '%.100s' is not there",
                       cluster ? "user" : "cluster", name);
    int r = take_text(config, NAMESPACE, context, "namespace", err);
    if (r == 0)
        r = take_cluster(config, directory, cluster, err);
    return r < 0 ? r : take_user(config, directory, user, err);
}

int kubeconfig_read(const char *path, const char *context, struct kubeconfig **ret, struct err *err) {
    struct kubeconfig *config cleanup(kubeconfig_freep) = mem_zalloc(sizeof *config);
    struct str text cleanup_str = {0};
    struct json *file cleanup(json_freep) = NULL;
    char *copy cleanup_free = mem_strdup(path);
    if (!config || !copy)
        return err_set(err, -ENOMEM, "out of memory");
    int r = read_file(path, &text, err);
    if (r == 0)
        r = kube_yaml_parse(str_text(&text), text.len, &file, err);
    if (r == 0 && !json_is_an_object(file))
        r = err_set(err, -EBADMSG, "%.120s is no kubeconfig", path);
    if (r == 0)
        r = take_context(config, dirname(copy), file, context, err);
    if (r < 0)
        return r;
    char **t = config->texts;
    config->options = (struct kube_options){.url = t[URL],
                                            .token_file = t[TOKEN_FILE],
                                            .token = t[TOKEN],
                                            .ca_file = t[CA_FILE],
                                            .ca_pem = t[CA_PEM],
                                            .client_cert_file = t[CERT_FILE],
                                            .client_key_file = t[KEY_FILE],
                                            .client_cert_pem = t[CERT_PEM],
                                            .client_key_pem = t[KEY_PEM]};
    *ret = take_ptr(config);
    return 0;
}
