// SPDX-License-Identifier: Apache-2.0
#include "csi/arguments.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define NAME_CHARACTERS_MAX 128

// C0, DEL and C1. The text is known to be UTF-8, where C1 is C2 80 to C2 9F.
static bool is_control(const unsigned char *c) {
    return c[0] < 0x20 || c[0] == 0x7F || (c[0] == 0xC2 && c[1] < 0xA0);
}

int check_name(const char *name, struct err *err) {
    size_t characters = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (is_control(c))
            return err_set(err, -EINVAL, "field 'name' holds a control character at byte %zu; choose a printable name",
                           (size_t)((const char *)c - name));
        characters += (*c & 0xC0) != 0x80;
    }
    if (characters == 0 || characters > NAME_CHARACTERS_MAX)
        return err_set(err, -EINVAL, "field 'name' has %zu characters; 1 to %d are allowed", characters,
                       NAME_CHARACTERS_MAX);
    return 0;
}

int check_path(const char *field, const char *path, struct err *err) {
    if (path[0] != '/')
        return err_set(err, -EINVAL, "field '%s' is '%.100s'; it must be an absolute path", field, path);
    if (strlen(path) >= PATH_MAX)
        return err_set(err, -EINVAL, "field '%s' has %zu bytes; a path has less than %d", field, strlen(path),
                       PATH_MAX);
    return 0;
}

int check_max_entries(int32_t max_entries, struct err *err) {
    if (max_entries < 0)
        return err_set(err, -EINVAL, "field 'max_entries' is %d; it must be 0 (all) or more", max_entries);
    return 0;
}

int check_range(const Csi__V1__CapacityRange *range, struct byte_range *ret, struct err *err) {
    *ret = (struct byte_range){0};
    if (!range)
        return 0;
    long long required = range->required_bytes, limit = range->limit_bytes;
    if (required < 0 || limit < 0)
        return err_set(err, -EINVAL, "capacity_range (%lld to %lld bytes) is negative", required, limit);
    if (limit > 0 && limit < required)
        return err_set(err, -EINVAL, "capacity_range: limit_bytes %lld is below required_bytes %lld", limit, required);
    *ret = (struct byte_range){.required = required, .limit = limit};
    return 0;
}

int check_mutable(const struct volume_class *class, const struct string_map *parameters, struct err *err) {
    for (size_t i = 0; i < parameters->count; i++) {
        const char *const *known = class->mutable_parameters;
        while (known && *known && strcmp(*known, parameters->items[i].key) != 0)
            known++;
        if (!known || !*known)
            return err_set(err, -EINVAL,
                           "mutable parameter '%.80s' is not known; remove it from the VolumeAttributesClass",
                           parameters->items[i].key);
    }
    return 0;
}
