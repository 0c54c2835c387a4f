// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/http/target.h"
#include "sidecar/remote/value_cache.h"

void cache_key_done(struct cache_key *key) {
    free(key->prefix);
    free(key->ns);
    free(key->key);
    *key = (struct cache_key){0};
}

// "/api/v1" or "/api/v2/workspaces/NAME", and only as they are commonly written.
static size_t prefix_length(const char *target) {
    static const char v1[] = "/api/v1", v2[] = "/api/v2/workspaces/";
    if (str_starts(target, v1))
        return sizeof v1 - 1;
    if (!str_starts(target, v2))
        return 0;
    return sizeof v2 - 1 + strcspn(target + sizeof v2 - 1, "/?%");
}

bool cache_key_parse(const struct http_request *request, struct cache_key *ret) {
    static const char below[] = "/kv/namespaces/", values[] = "/values/";
    const char *target = http_request_target(request), *path = http_request_arg(request, "path", NULL);
    size_t prefix = prefix_length(target);
    *ret = (struct cache_key){0};
    if (!str_starts(path, "kv/"))
        return false;
    if (!prefix || !str_starts(target + prefix, below))
        return true;
    const char *ns = target + prefix + sizeof below - 1;
    size_t len = strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (!len || (ns[len] && ns[len] != '/'))
        return true;
    ret->prefix = mem_strndup(target, prefix);
    char *name = mem_strndup(ns, len);
    const char *raw = str_starts(ns + len, values) ? ns + len + sizeof values - 1 : NULL;
    size_t raw_len = raw ? strlen(raw) : 0;
    char *key = raw_len ? mem_alloc(raw_len + 1) : NULL;
    long n = key ? http_percent_decode(http_slice(raw, raw + raw_len), false, key) : -1;
    if (n > 0 && !memchr(key, 0, (size_t)n)) {
        key[n] = '\0';
        ret->key = take_ptr(key);
    }
    free(key);
    if (ret->prefix)
        ret->ns = take_ptr(name);
    free(name);
    return true;
}
