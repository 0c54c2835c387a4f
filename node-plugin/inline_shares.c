// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/inline_shares.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define SERVER_MAX 255

struct pattern {
    char server[SERVER_MAX + 1]; // an IPv6 address without brackets
    char path[PATH_MAX];         // without a slash at its end: "" is the whole server
};

static bool split(const char *text, struct pattern *ret) {
    const char *colon = strstr(text, ":/");
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len > 2 && text[0] == '[' && text[len - 1] == ']' && memchr(text, ':', len))
        text++, len -= 2;
    if (len == 0 || len > SERVER_MAX || strlen(colon + 1) >= sizeof ret->path)
        return false;
    (void)snprintf(ret->server, sizeof ret->server, "%.*s", (int)len, text);
    (void)snprintf(ret->path, sizeof ret->path, "%s", colon + 1);
    for (size_t end = strlen(ret->path); end > 0 && ret->path[end - 1] == '/'; end--)
        ret->path[end - 1] = '\0';
    return true;
}

int inline_shares_check(const char *pattern, struct err *err) {
    struct pattern parts;
    bool good = str_eq(pattern, "*") || (split(pattern, &parts) && !strstr(parts.path, "//"));
    for (const char *c = pattern; good && *c; c++)
        good = (unsigned char)*c > ' ' && *c != 0x7f && *c != ',';
    return good ? 0
                : err_set(err, -EINVAL, "'%.100s' is no share; write SERVER:/PATH, or '*' for every share, once each",
                          pattern);
}

// The first `from` bytes of the directory are left out of the question: does a longer beginning of it match?
static bool path_matches(const char *pattern, const char *directory, size_t from) {
    char prefix[PATH_MAX];
    if (pattern[0] == '\0')
        return true;
    for (const char *at = directory; *at;) {
        at += 1 + strcspn(at + 1, "/");
        size_t len = (size_t)(at - directory);
        if (len >= sizeof prefix)
            return false;
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)len, directory);
        if (len >= from && fnmatch(pattern, prefix, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

static size_t length_of_share(const struct volume_source *source) {
    size_t len = strlen(source->share);
    while (len > 0 && source->share[len - 1] == '/')
        len--;
    return len;
}

int inline_shares_allow(const struct field_list *patterns, const struct volume_source *source, struct err *err) {
    bool too_deep = false;
    for (size_t i = 0; patterns && i < patterns->count; i++) {
        struct pattern pattern;
        if (str_eq(patterns->items[i], "*"))
            return 0;
        if (!split(patterns->items[i], &pattern) || fnmatch(pattern.server, source->server, FNM_CASEFOLD) != 0)
            continue;
        if (path_matches(pattern.path, source->directory, length_of_share(source)))
            return 0;
        too_deep = too_deep || path_matches(pattern.path, source->directory, 0);
    }
    if (too_deep)
        return err_set(
            err, -EACCES,
            "share '%.100s' goes deeper than the share that is allowed to inline volumes; give that one, and "
            "the rest by mountFrom",
            source->share);
    return err_set(err, -EACCES,
                   "inline volumes of %.90s are not allowed; use a claim, or have the share allowed by stowage-node "
                   "--inline-shares (chart value inlineVolumes.allowedShares)",
                   source->name);
}
