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

// The directory itself, or one that it is below.
static bool path_matches(const char *pattern, const char *directory) {
    char prefix[PATH_MAX];
    if (pattern[0] == '\0')
        return true;
    for (const char *at = directory; *at;) {
        at += 1 + strcspn(at + 1, "/");
        if (snprintf(prefix, sizeof prefix, "%.*s", (int)(at - directory), directory) >= (int)sizeof prefix)
            return false;
        if (fnmatch(pattern, prefix, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

bool inline_shares_allow(const struct field_list *patterns, const struct volume_source *source) {
    for (size_t i = 0; patterns && i < patterns->count; i++) {
        struct pattern pattern;
        if (str_eq(patterns->items[i], "*"))
            return true;
        if (split(patterns->items[i], &pattern) && fnmatch(pattern.server, source->server, FNM_CASEFOLD) == 0 &&
            path_matches(pattern.path, source->directory))
            return true;
    }
    return false;
}
