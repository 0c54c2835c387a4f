// SPDX-License-Identifier: Apache-2.0
// One table of named fields serves StorageClass parameters, flags, environment and help text.
//
// Why:   name, type, limits and help of a setting stand in one row; reading, checking and documenting are generic.
// Owns:  FIELD_TEXT and FIELD_LIST members are allocated copies; fields_done releases them.
// Fails: -EINVAL with the name, what is wrong and what is allowed; the target then keeps what was set before.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

enum field_type {
    FIELD_TEXT,   // char *
    FIELD_LIST,   // struct field_list; may be given several times
    FIELD_BOOL,   // bool; as a flag without a value: true
    FIELD_U32,    // uint32_t, min..max
    FIELD_I64,    // int64_t, min..max
    FIELD_OCTAL,  // uint32_t, up to max
    FIELD_BYTES,  // int64_t, "10Gi", min..max
    FIELD_CHOICE, // int: index into `choices`
};

struct field_list {
    char **items;
    size_t count;
};

struct field {
    const char *name; // "mountPermissions" for parameters, "socket" for --socket
    enum field_type type;
    size_t offset;              // in the target struct
    const char *fallback;       // default as text, parsed by fields_defaults; NULL: zero
    const char *value;          // what the value is, for help: "PATH"
    const char *help;           // one line
    int64_t min, max;           // numbers and bytes; 0,0: no limits. FIELD_TEXT: longest length in bytes, if max is set
    const char *const *choices; // FIELD_CHOICE: NULL-terminated
    int (*check)(const char *value, struct err *err); // further rules of a text; NULL: none
    bool required;                                    // fields_required complains when a text or list is missing
};

struct fields {
    const struct field *rows;
    size_t count;
    const char *kind; // "parameter", "flag": how errors call a row
    bool exact_case;  // flags; parameters are matched without case
};

const struct field *fields_find(const struct fields *f, const char *name);
int fields_defaults(const struct fields *f, void *target, struct err *err) must_check;
int fields_set(const struct fields *f, void *target, const char *name, const char *value, struct err *err) must_check;
int fields_required(const struct fields *f, const void *target, struct err *err) must_check;
void fields_done(const struct fields *f, void *target);

// Command line: --name VALUE, --name=VALUE, --flag; "--" and the first other argument end it.
// *ret_next is the index of the first argument that is no flag. --help is the caller's: -ECANCELED when met.
// Environment: STOWAGE_NAME_WITH_UNDERSCORES, read before the command line.
int fields_parse_args(const struct fields *f, void *target, int argc, char **argv, int *ret_next,
                      struct err *err) must_check;
// Help text of all rows to standard output, aligned, with defaults.
void fields_print_help(const struct fields *f);
