// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/keeper.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "controller/webhook/certificates.h"
#include "lib/base/base64.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define CONFIGURATIONS "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
#define LOOK_MS 30000 // what others renewed is served then, and what somebody took away is back
#define SOON_MS 1000

struct keeper {
    struct keeper_options options;
    char *ns, *name, *dns_name, *secret, *configuration; // the last two: paths
    char *served;                                        // certificate
    atomic_llong until_s;
};

int keeper_new(const struct keeper_options *options, struct keeper **ret, struct err *err) {
    struct keeper *keeper cleanup(keeper_freep) = mem_zalloc(sizeof *keeper);
    if (!keeper)
        return err_set(err, -ENOMEM, "out of memory");
    keeper->options = *options;
    char *secrets cleanup_free = kube_collection("/api/v1", options->ns, "secrets");
    keeper->ns = mem_strdup(options->ns);
    keeper->name = mem_strdup(options->name);
    keeper->dns_name = mem_printf("%s.%s.svc", options->name, options->ns);
    keeper->secret = secrets ? kube_path(secrets, options->name) : NULL;
    keeper->configuration = kube_path(CONFIGURATIONS, options->name);
    if (!keeper->ns || !keeper->name || !keeper->dns_name || !keeper->secret || !keeper->configuration)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(keeper);
    return 0;
}

struct keeper *keeper_free(struct keeper *keeper) {
    if (!keeper)
        return NULL;
    free(keeper->ns);
    free(keeper->name);
    free(keeper->dns_name);
    free(keeper->secret);
    free(keeper->configuration);
    free(keeper->served);
    free(keeper);
    return NULL;
}

int64_t keeper_until(const struct keeper *keeper) {
    return atomic_load(&keeper->until_s);
}

// ---- the Secret -------------------------------------------------------------------------------------------------------

// Only that version is patched: what somebody else made meanwhile counts.
static struct json *patch_of(const struct json *object, const char *member, struct json *value) {
    struct json *patch cleanup(json_freep) = json_object_new();
    struct json *metadata = json_object_new();
    int r = json_set_text(metadata, "resourceVersion", kube_text(object, "metadata.resourceVersion"));
    int set = json_set(patch, "metadata", metadata);
    int put = json_set(patch, member, value);
    return r == 0 && set == 0 && put == 0 ? take_ptr(patch) : NULL;
}

static int write_secret(struct keeper *keeper, const struct json *secret, const struct certificates *certificates,
                        struct err *err) {
    struct json *patch cleanup(json_freep) = patch_of(secret, "data", certificates_data(certificates));
    return patch ? kube_patch(keeper->options.kube, keeper->secret, KUBE_PATCH_MERGE, patch, NULL, err)
                 : err_set(err, -ENOMEM, "out of memory");
}

static int have_certificates(struct keeper *keeper, struct certificates *ret, struct err *err) {
    struct json *secret cleanup(json_freep) = NULL;
    bool changed = false;
    int r = kube_get(keeper->options.kube, keeper->secret, &secret, err);
    if (r == -ENOENT)
        return err_set(err, r, "the Secret %s/%s is missing: make an empty one, or install the chart again", keeper->ns,
                       keeper->name);
    if (r == 0)
        r = certificates_read(secret, ret, err);
    if (r == 0)
        r = certificates_renew(ret, keeper->dns_name, keeper->options.clock, &changed, err);
    return r == 0 && changed ? write_secret(keeper, secret, ret, err) : r;
}

// ---- the configuration ------------------------------------------------------------------------------------------------

struct copying {
    struct json *to;
    const char *instead, *with; // this member is not copied; `with` NULL: it is left out
    int r;
};

static int copy_member(const char *key, const struct json *value, void *arg) {
    struct copying *copying = arg;
    if (!str_eq(key, copying->instead))
        copying->r = json_set(copying->to, key, json_ref(value));
    return copying->r;
}

// A webhook as it is, with our authority.
static struct json *believing(const struct json *webhook, const char *bundle) {
    struct json *ret cleanup(json_freep) = json_object_new(), *client = json_object_new();
    struct copying of_client = {.to = client, .instead = "caBundle"}, all = {.to = ret, .instead = "clientConfig"};
    (void)json_each(json_get(webhook, "clientConfig"), copy_member, &of_client);
    (void)json_each(webhook, copy_member, &all);
    int r = json_set_text(client, "caBundle", bundle);
    int set = json_set(ret, "clientConfig", client);
    return of_client.r == 0 && all.r == 0 && r == 0 && set == 0 ? take_ptr(ret) : NULL;
}

static int tell_authority(struct keeper *keeper, const char *authority, bool *ret_changed, struct err *err) {
    struct json *configuration cleanup(json_freep) = NULL;
    char *bundle cleanup_free = base64_encode(authority, strlen(authority));
    int r = kube_get(keeper->options.kube, keeper->configuration, &configuration, err);
    if (r < 0 || !bundle)
        return r < 0 ? r : err_set(err, -ENOMEM, "out of memory");
    const struct json *webhooks = json_get(configuration, "webhooks");
    struct json *list cleanup(json_freep) = json_array_new();
    for (size_t i = 0; i < json_length(webhooks); i++) {
        const struct json *webhook = json_at(webhooks, i);
        *ret_changed |= !str_eq(kube_text(webhook, "clientConfig.caBundle"), bundle);
        if (json_append(list, believing(webhook, bundle)) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    if (!*ret_changed)
        return 0;
    struct json *patch cleanup(json_freep) = patch_of(configuration, "webhooks", take_ptr(list));
    return patch ? kube_patch(keeper->options.kube, keeper->configuration, KUBE_PATCH_MERGE, patch, NULL, err)
                 : err_set(err, -ENOMEM, "out of memory");
}

// ---- serving ------------------------------------------------------------------------------------------------------------

static int serve(struct keeper *keeper, const struct certificates *certificates, struct err *err) {
    char *copy cleanup_free = mem_strdup(certificates->server.certificate);
    int r = copy ? http_tls_pem_set(keeper->options.tls, copy, certificates->server.key, err)
                 : err_set(err, -ENOMEM, "out of memory");
    if (r < 0)
        return r;
    free(keeper->served);
    keeper->served = take_ptr(copy);
    atomic_store(&keeper->until_s, certificates->until_s);
    return 0;
}

int keeper_step(struct keeper *keeper, uint32_t *ret_again_ms, struct err *err) {
    struct certificates certificates cleanup(certificates_done) = {0};
    bool told = false;
    *ret_again_ms = SOON_MS;
    int r = have_certificates(keeper, &certificates, err);
    if (r == 0)
        r = tell_authority(keeper, certificates.authority.certificate, &told, err);
    if (r < 0)
        return r;
    bool is_served = str_eq(keeper->served, certificates.server.certificate);
    // What the API server was told just now reaches what asks the webhooks a moment later; until then, what it knows.
    if (!is_served && (!told || !keeper->served))
        r = serve(keeper, &certificates, err);
    else if (is_served && !told)
        *ret_again_ms = LOOK_MS;
    return r;
}
