// SPDX-License-Identifier: Apache-2.0
#include "lib/base/fields.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

const struct field *fields_find(const struct fields *f, const char *name) {
    for (size_t i = 0; i < f->count; i++)
        if (f->exact_case ? str_eq(f->rows[i].name, name) : str_eq_nocase(f->rows[i].name, name))
            return &f->rows[i];
    return NULL;
}

static int bad_value(const struct fields *f, const struct field *row, const char *value, const char *want,
                     struct err *err) {
    return err_set(err, -EINVAL, "%s '%s' has the value '%.60s'; give %s", f->kind, row->name, value, want);
}

static int unknown(const struct fields *f, const char *name, struct err *err) {
    struct str known cleanup_str = {0};
    for (size_t i = 0; i < f->count; i++)
        (void)str_printf(&known, "%s%s", i ? ", " : "", f->rows[i].name);
    return err_set(err, -EINVAL, "unknown %s '%.60s'; known are: %s", f->kind, name, str_text(&known));
}

static int set_text(char **target, const char *value, struct err *err) {
    char *copy = mem_strdup(value);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    free(*target);
    *target = copy;
    return 0;
}

static int add_to_list(struct field_list *list, const char *value, struct err *err) {
    char **grown = mem_realloc(list->items, list->count + 1, sizeof *grown);
    if (!grown)
        return err_set(err, -ENOMEM, "out of memory");
    list->items = grown;
    grown[list->count] = NULL;
    int r = set_text(&grown[list->count], value, err);
    if (r == 0)
        list->count++;
    return r;
}

static int set_number(const struct fields *f, const struct field *row, void *at, const char *value, struct err *err) {
    bool limited = row->min || row->max;
    int64_t max = limited ? row->max : row->type == FIELD_U32 ? UINT32_MAX : INT64_MAX;
    int64_t number = 0;
    int r = row->type == FIELD_BYTES ? str_to_bytes(value, &number) : str_to_i64(value, INT64_MIN, INT64_MAX, &number);
    if (r == 0 && ((limited || row->type == FIELD_U32) && (number < row->min || number > max)))
        r = -ERANGE;
    if (r < 0) {
        char want[96];
        (void)snprintf(want, sizeof want, "%s from %" PRId64 " to %" PRId64,
                       row->type == FIELD_BYTES ? "a size such as 10Gi," : "a whole number", row->min, max);
        return bad_value(f, row, value, want, err);
    }
    if (row->type == FIELD_U32)
        *(uint32_t *)at = (uint32_t)number;
    else
        *(int64_t *)at = number;
    return 0;
}

static int set_choice(const struct fields *f, const struct field *row, int *at, const char *value, struct err *err) {
    struct str want cleanup_str = {0};
    for (int i = 0; row->choices[i]; i++) {
        if (str_eq_nocase(row->choices[i], value)) {
            *at = i;
            return 0;
        }
        (void)str_printf(&want, "%s%s", i ? ", " : "one of ", row->choices[i]);
    }
    return bad_value(f, row, value, str_text(&want), err);
}

static int set_row(const struct fields *f, const struct field *row, void *target, const char *value, struct err *err) {
    void *at = (char *)target + row->offset;
    switch (row->type) {
    case FIELD_TEXT:
    case FIELD_LIST:
        if (row->max && strlen(value) > (size_t)row->max)
            return err_set(err, -EINVAL, "%s '%s' has %zu bytes; the limit is %" PRId64, f->kind, row->name,
                           strlen(value), row->max);
        if (row->check) {
            int r = row->check(value, err);
            if (r < 0)
                return err_wrap(err, r, "%s '%s'", f->kind, row->name);
        }
        return row->type == FIELD_TEXT ? set_text(at, value, err) : add_to_list(at, value, err);
    case FIELD_BOOL:
        return str_to_bool(value, at) < 0 ? bad_value(f, row, value, "true or false", err) : 0;
    case FIELD_OCTAL:
        return str_to_octal(value, (uint32_t)row->max, at) < 0
                   ? bad_value(f, row, value, "an octal mode such as 0770", err)
                   : 0;
    case FIELD_U32:
    case FIELD_I64:
    case FIELD_BYTES:
        return set_number(f, row, at, value, err);
    case FIELD_CHOICE:
        return set_choice(f, row, at, value, err);
    }
    return -EINVAL;
}

int fields_set(const struct fields *f, void *target, const char *name, const char *value, struct err *err) {
    const struct field *row = fields_find(f, name);
    return row ? set_row(f, row, target, value, err) : unknown(f, name, err);
}

int fields_defaults(const struct fields *f, void *target, struct err *err) {
    for (size_t i = 0; i < f->count; i++) {
        int r = f->rows[i].fallback ? set_row(f, &f->rows[i], target, f->rows[i].fallback, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int fields_required(const struct fields *f, const void *target, struct err *err) {
    for (size_t i = 0; i < f->count; i++) {
        const struct field *row = &f->rows[i];
        const void *at = (const char *)target + row->offset;
        bool missing = (row->type == FIELD_TEXT && str_empty(*(char *const *)at)) ||
                       (row->type == FIELD_LIST && ((const struct field_list *)at)->count == 0);
        if (row->required && missing)
            return err_set(err, -EINVAL, "%s '%s' is missing: %s", f->kind, row->name, row->help);
    }
    return 0;
}

void fields_done(const struct fields *f, void *target) {
    for (size_t i = 0; i < f->count; i++) {
        void *at = (char *)target + f->rows[i].offset;
        if (f->rows[i].type == FIELD_TEXT) {
            free(*(char **)at);
            *(char **)at = NULL;
        } else if (f->rows[i].type == FIELD_LIST) {
            struct field_list *list = at;
            for (size_t n = 0; n < list->count; n++)
                free(list->items[n]);
            free(list->items);
            *list = (struct field_list){0};
        }
    }
}

static int read_environment(const struct fields *f, void *target, struct err *err) {
    for (size_t i = 0; i < f->count; i++) {
        char name[64];
        int n = snprintf(name, sizeof name, "STOWAGE_%s", f->rows[i].name);
        for (int c = 0; c < n && c < (int)sizeof name; c++)
            name[c] = name[c] == '-' ? '_' : (char)toupper((unsigned char)name[c]);
        const char *value = getenv(name);
        int r = value ? set_row(f, &f->rows[i], target, value, err) : 0;
        if (r < 0)
            return err_wrap(err, r, "environment variable %s", name);
    }
    return 0;
}

int fields_parse_args(const struct fields *f, void *target, int argc, char **argv, int *ret_next, struct err *err) {
    int r = read_environment(f, target, err);
    int i = 1;
    for (; r == 0 && i < argc && str_starts(argv[i], "--") && argv[i][2]; i++) {
        char name[64];
        const char *equals = strchr(argv[i], '=');
        size_t len = equals ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        (void)snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), argv[i] + 2);
        const struct field *row = fields_find(f, name);
        if (!row)
            return str_eq(name, "help") ? -ECANCELED : unknown(f, name, err);
        const char *value = equals ? equals + 1 : row->type == FIELD_BOOL ? "true" : argv[++i];
        if (!value)
            return err_set(err, -EINVAL, "flag '--%s' wants a value: %s", row->name, row->help);
        r = set_row(f, row, target, value, err);
    }
    if (i < argc && str_eq(argv[i], "--"))
        i++;
    *ret_next = i < argc ? i : argc;
    return r;
}

void fields_print_help(const struct fields *f) {
    for (size_t i = 0; i < f->count; i++) {
        const struct field *row = &f->rows[i];
        char left[64];
        (void)snprintf(left, sizeof left, "%s%s%s%s", f->exact_case ? "--" : "", row->name, row->value ? " " : "",
                       row->value ? row->value : "");
        (void)printf("  %-32s %s", left, row->help);
        if (row->choices) {
            for (int c = 0; row->choices[c]; c++)
                (void)printf("%s%s", c ? "|" : ": ", row->choices[c]);
        }
        if (!str_empty(row->fallback))
            (void)printf(" (default %s)", row->fallback);
        (void)printf("%s\n", row->required ? " (required)" : "");
    }
}
