// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/spec.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define NAMESPACE_MAX 63
static const char how[] = "give NAMESPACE=DIR, or NAMESPACE=DIR:optional";

static void item_done(struct project_spec *item) {
    free(item->ns);
    free(item->dir);
}

void project_specs_done(struct project_specs *specs) {
    for (size_t i = 0; i < specs->count; i++)
        item_done(&specs->items[i]);
    free(specs->items);
    *specs = (struct project_specs){0};
}

static int parse_one(const char *text, size_t len, struct project_spec *ret, struct err *err) {
    static const char optional[] = ":optional";
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : 0;
    if (!name_len || name_len > NAMESPACE_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != name_len)
        return err_set(err, -EINVAL, "'%.*s' names no namespace of keys; %s", (int)len, text, how);
    const char *dir = equals + 1;
    size_t dir_len = len - name_len - 1, tail = sizeof optional - 1;
    ret->optional = dir_len > tail && memcmp(dir + dir_len - tail, optional, tail) == 0;
    dir_len -= ret->optional ? tail : 0;
    if (dir_len < 2 || dir[0] != '/' || memchr(dir, ':', dir_len))
        return err_set(err, -EINVAL, "'%.*s' names no directory by its whole path; %s", (int)len, text, how);
    ret->ns = mem_strndup(text, name_len);
    ret->dir = mem_strndup(dir, dir_len);
    return ret->ns && ret->dir ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int add(struct project_specs *specs, const char *text, size_t len, struct err *err) {
    struct project_spec item cleanup(item_done) = {0};
    int r = parse_one(text, len, &item, err);
    for (size_t i = 0; r == 0 && i < specs->count; i++)
        if (str_eq(specs->items[i].dir, item.dir))
            return err_set(err, -EINVAL, "two namespaces have the directory '%.150s'", item.dir);
    if (r < 0)
        return r;
    struct project_spec *grown = mem_realloc(specs->items, specs->count + 1, sizeof *grown);
    if (!grown)
        return err_set(err, -ENOMEM, "out of memory");
    specs->items = grown;
    grown[specs->count++] = item;
    item = (struct project_spec){0};
    return 0;
}

int project_specs_parse(const struct field_list *items, struct project_specs *ret, struct err *err) {
    struct project_specs specs cleanup(project_specs_done) = {0};
    int r = 0;
    for (size_t i = 0; i < items->count; i++)
        for (const char *at = items->items[i]; r == 0 && *at; at += *at == ',') {
            size_t len = strcspn(at, ",");
            r = add(&specs, at, len, err);
            at += len;
        }
    if (r < 0)
        return r;
    *ret = specs;
    specs = (struct project_specs){0};
    return 0;
}

void notify_spec_done(struct notify_spec *spec) {
    free(spec->address);
    free(spec->path);
    *spec = (struct notify_spec){0};
}

// Only the pod's own: a sidecar that could be told to ask anybody would be a way around network policies.
int notify_spec_parse(const char *url, struct notify_spec *ret, struct err *err) {
    static const char *const begins[] = {"http://127.0.0.1:", "http://localhost:", "http://[::1]:"};
    static const char *const hosts[] = {"127.0.0.1", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
        const char *port = str_starts(url, begins[i]) ? url + strlen(begins[i]) : "";
        size_t len = strspn(port, "0123456789"), path_len = strlen(port + len);
        uint64_t number = 0;
        char *digits cleanup_free = mem_strndup(port, len);
        if (!digits)
            return err_set(err, -ENOMEM, "out of memory");
        if (str_to_u64(digits, 1, 65535, &number) < 0 || (path_len && port[len] != '/') ||
            strcspn(port + len, " \t\r\n#") != path_len)
            continue;
        ret->address = mem_printf("%s:%s", hosts[i], digits);
        ret->path = mem_strdup(path_len ? port + len : "/");
        return ret->address && ret->path ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    return err_set(err, -EINVAL, "'%.150s' is no address in this pod: give http://127.0.0.1:PORT/PATH", url);
}
