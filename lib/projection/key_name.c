// SPDX-License-Identifier: Apache-2.0
#include "lib/projection/key_name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char digits[] = "0123456789ABCDEF";

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

// "." and everything that begins with ".." are the directory's own.
static bool is_reserved(const char *key, size_t len) {
    return len > 0 && key[0] == '.' && (len == 1 || key[1] == '.');
}

size_t key_name_encode(const char *key, size_t len, char ret[static KEY_NAME_MAX + 1]) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool plain = is_plain(key[i]) && !(i == 0 && is_reserved(key, len));
        if (n + (plain ? 1 : 3) > KEY_NAME_MAX)
            return 0;
        if (plain) {
            ret[n++] = key[i];
            continue;
        }
        ret[n++] = '%';
        ret[n++] = digits[(unsigned char)key[i] >> 4];
        ret[n++] = digits[(unsigned char)key[i] & 15U];
    }
    ret[n] = '\0';
    return n;
}

static int digit(char c) {
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

long key_name_decode(const char *name, char ret[static KEY_NAME_MAX + 1]) {
    char again[KEY_NAME_MAX + 1];
    size_t n = 0, len = strlen(name);
    if (len == 0 || len > KEY_NAME_MAX)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != '%') {
            ret[n++] = name[i];
            continue;
        }
        int high = digit(name[i + 1]), low = high < 0 ? -1 : digit(name[i + 2]);
        if (low < 0)
            return -EINVAL;
        ret[n++] = (char)(high << 4 | low);
        i += 2;
    }
    ret[n] = '\0';
    // What is written otherwise than we write it ("%61") is nobody's.
    return key_name_encode(ret, n, again) == len && memcmp(again, name, len) == 0 ? (long)n : -EINVAL;
}
