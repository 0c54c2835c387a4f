// SPDX-License-Identifier: Apache-2.0
// Every flag of the command, in one table; a command names those it takes. Commands of the cache have flags of their own.
//
// Why:  a flag means the same everywhere, and help, environment (STOWAGE_…) and checks come from its row.
// Owns: texts and lists are allocated; options_done releases them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fields.h"

enum access { ACCESS_READ_WRITE_MANY, ACCESS_READ_WRITE_ONCE, ACCESS_READ_ONLY_MANY, ACCESS_READ_WRITE_ONCE_POD };

struct options {
    char *controller, *node; // sockets
    bool json;
    uint32_t timeout; // seconds
    struct field_list parameter, mutable_parameter, mount_option, context;
    int64_t size, limit;
    char *from_snapshot, *from_volume, *volume;
    char *staging, *target, *path;
    int access; // enum access
    bool read_only, no_wait;
    int at; // 0 controller, 1 node

    // of the store; numbers that may be left out are texts, NULL when they were
    char *url, *token, *token_file, *admin_token, *admin_token_file, *ca_cert;
    char *file, *content_type, *ttl, *if_version, *since;
    char *delay, *visibility, *dedup, *retention, *max_receives, *dead_letter, *dedup_id;
    uint32_t wait;
    int64_t max; // 0: no limit, or one, as the command says

    // of the cache
    char *dir, *inside;
    bool follow, cancel;

    bool if_new, details, null, public, lines, lease, recursive, download, for_put;
};

#define OPTIONS_MAX 32

enum options_for { OPTIONS_DRIVER, OPTIONS_STORE, OPTIONS_STORE_ADMIN, OPTIONS_CACHE }; // whom a command talks to

struct option_set { // the flags of one command
    struct field rows[OPTIONS_MAX];
    struct fields fields;
};

// `names`: NULL-terminated; the flags that every command of its kind has are added. A name that is not in the table is a mistake of ours
// and ends the program.
void options_select(const char *const *names, enum options_for whom, struct option_set *ret);

// Reads defaults, environment and command line. Flags may stand anywhere; "-p" is short for --parameter, "--" ends them.
// argv[0] is passed over; afterwards argv[0..*ret_count) are the arguments that are no flags. -ECANCELED: --help was met.
int options_parse(const struct option_set *set, struct options *options, int argc, char **argv, int *ret_count,
                  struct err *err) must_check;
void options_done(const struct option_set *set, struct options *options);
