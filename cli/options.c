// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static const char *const ACCESS_NAMES[] = {"ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany", "ReadWriteOncePod", NULL};
static const char *const AT_NAMES[] = {"controller", "node", NULL};

static int check_number(const char *value, struct err *err) {
    int64_t number;
    if (str_to_i64(value, 0, INT64_MAX, &number) < 0)
        return err_set(err, -EINVAL, "'%.40s' is no whole number of at least 0", value);
    return 0;
}

#define AT(member) offsetof(struct options, member)

static const struct field ROWS[] = {
    {.name = "parameter",
     .type = FIELD_LIST,
     .offset = AT(parameter),
     .value = "NAME=VALUE",
     .help = "a parameter of the class; may be repeated, short -p"},
    {.name = "mutable",
     .type = FIELD_LIST,
     .offset = AT(mutable_parameter),
     .value = "NAME=VALUE",
     .help = "a parameter that `volume modify` can change later; may be repeated"},
    {.name = "size",
     .type = FIELD_BYTES,
     .offset = AT(size),
     .value = "SIZE",
     .min = 1,
     .max = INT64_MAX,
     .help = "capacity, such as 10Gi"},
    {.name = "limit",
     .type = FIELD_BYTES,
     .offset = AT(limit),
     .value = "SIZE",
     .min = 1,
     .max = INT64_MAX,
     .help = "capacity that must not be exceeded"},
    {.name = "from-snapshot",
     .type = FIELD_TEXT,
     .offset = AT(from_snapshot),
     .value = "ID",
     .help = "start with the contents of a snapshot"},
    {.name = "from-volume",
     .type = FIELD_TEXT,
     .offset = AT(from_volume),
     .value = "ID",
     .help = "start with the contents of another volume"},
    {.name = "volume", .type = FIELD_TEXT, .offset = AT(volume), .value = "ID", .help = "only those of this volume"},
    {.name = "access",
     .type = FIELD_CHOICE,
     .offset = AT(access),
     .value = "MODE",
     .choices = ACCESS_NAMES,
     .fallback = "ReadWriteMany",
     .help = "who may use the volume"},
    {.name = "mount-option",
     .type = FIELD_LIST,
     .offset = AT(mount_option),
     .value = "OPTION",
     .help = "an NFS mount option; may be repeated"},
    {.name = "context",
     .type = FIELD_LIST,
     .offset = AT(context),
     .value = "NAME=VALUE",
     .help = "volume context; without it the controller is asked"},
    {.name = "staging",
     .type = FIELD_TEXT,
     .offset = AT(staging),
     .value = "PATH",
     .required = true,
     .help = "absolute path of the staging directory"},
    {.name = "target",
     .type = FIELD_TEXT,
     .offset = AT(target),
     .value = "PATH",
     .required = true,
     .help = "absolute path where the volume is to appear"},
    {.name = "path",
     .type = FIELD_TEXT,
     .offset = AT(path),
     .value = "PATH",
     .help = "where the volume is staged or published on this node"},
    {.name = "read-only", .type = FIELD_BOOL, .offset = AT(read_only), .help = "publish for reading only"},
    {.name = "no-wait", .type = FIELD_BOOL, .offset = AT(no_wait), .help = "do not wait for long work to end"},
    {.name = "at",
     .type = FIELD_CHOICE,
     .offset = AT(at),
     .value = "WHERE",
     .choices = AT_NAMES,
     .fallback = "controller",
     .help = "whom to ask for an Identity method"},
    {.name = "controller",
     .type = FIELD_TEXT,
     .offset = AT(controller),
     .value = "SOCKET",
     .fallback = "unix:///run/stowage/controller.sock",
     .help = "socket of stowage-controller"},
    {.name = "node",
     .type = FIELD_TEXT,
     .offset = AT(node),
     .value = "SOCKET",
     .fallback = "unix:///run/stowage/node.sock",
     .help = "socket of stowage-node"},
    // of the store
    {.name = "url",
     .type = FIELD_TEXT,
     .offset = AT(url),
     .value = "URL",
     .help = "the store; without it LEPTON_WORKSPACE_URL, else http://127.0.0.1:3500/api/v1; unix:SOCKET"},
    {.name = "token",
     .type = FIELD_TEXT,
     .offset = AT(token),
     .value = "TOKEN",
     .help = "token of the workspace; without it LEPTON_WORKSPACE_TOKEN, else --token-file"},
    {.name = "token-file",
     .type = FIELD_TEXT,
     .offset = AT(token_file),
     .value = "FILE",
     .help = "whose first word is the token; without it /var/lib/stowage/store/token, if it can be read"},
    {.name = "admin-token",
     .type = FIELD_TEXT,
     .offset = AT(admin_token),
     .value = "TOKEN",
     .help = "token of the whole store; without it --admin-token-file"},
    {.name = "admin-token-file",
     .type = FIELD_TEXT,
     .offset = AT(admin_token_file),
     .value = "FILE",
     .fallback = "/var/lib/stowage/store/admin-token",
     .help = "whose first word is that token"},
    {.name = "ca-cert",
     .type = FIELD_TEXT,
     .offset = AT(ca_cert),
     .value = "FILE",
     .help = "PEM file of who signed the certificate of an https store"},
    {.name = "file",
     .type = FIELD_TEXT,
     .offset = AT(file),
     .value = "FILE",
     .help = "read from this file; without it standard input"},
    {.name = "content-type",
     .type = FIELD_TEXT,
     .offset = AT(content_type),
     .value = "TYPE",
     .help = "kept with the object"},
    {.name = "ttl",
     .type = FIELD_TEXT,
     .offset = AT(ttl),
     .value = "SECONDS",
     .check = check_number,
     .help = "the key goes away after so long"},
    {.name = "if-version",
     .type = FIELD_TEXT,
     .offset = AT(if_version),
     .value = "N",
     .check = check_number,
     .help = "only if this is the key's version still"},
    {.name = "if-new", .type = FIELD_BOOL, .offset = AT(if_new), .help = "only if it is not there yet"},
    {.name = "since",
     .type = FIELD_TEXT,
     .offset = AT(since),
     .value = "VERSION",
     .check = check_number,
     .help = "changes after this version; without it, from now on"},
    {.name = "delay",
     .type = FIELD_TEXT,
     .offset = AT(delay),
     .value = "SECONDS",
     .check = check_number,
     .help = "before it can be received"},
    {.name = "visibility",
     .type = FIELD_TEXT,
     .offset = AT(visibility),
     .value = "SECONDS",
     .check = check_number,
     .help = "of a lease, from now"},
    {.name = "dedup",
     .type = FIELD_TEXT,
     .offset = AT(dedup),
     .value = "SECONDS",
     .check = check_number,
     .help = "for which an equal message is dropped; 0: never"},
    {.name = "retention",
     .type = FIELD_TEXT,
     .offset = AT(retention),
     .value = "SECONDS",
     .check = check_number,
     .help = "then a message goes away; 0: never"},
    {.name = "max-receives",
     .type = FIELD_TEXT,
     .offset = AT(max_receives),
     .value = "N",
     .check = check_number,
     .help = "so many leases without ack move a message to --dead-letter; 0: no limit"},
    {.name = "dead-letter",
     .type = FIELD_TEXT,
     .offset = AT(dead_letter),
     .value = "QUEUE",
     .help = "where such messages go; '': nowhere"},
    {.name = "dedup-id",
     .type = FIELD_TEXT,
     .offset = AT(dedup_id),
     .value = "TEXT",
     .help = "what makes the message equal to another, instead of its text"},
    {.name = "wait",
     .type = FIELD_U32,
     .offset = AT(wait),
     .value = "SECONDS",
     .fallback = "0",
     .min = 0,
     .max = 60,
     .help = "for a message, if there is none"},
    {.name = "max",
     .type = FIELD_I64,
     .offset = AT(max),
     .value = "N",
     .min = 1,
     .max = INT64_MAX,
     .help = "no more than so many"},
    {.name = "long", .type = FIELD_BOOL, .offset = AT(details), .help = "more about each"},
    {.name = "null", .type = FIELD_BOOL, .offset = AT(null), .help = "end each with a NUL byte instead of a line feed"},
    {.name = "public",
     .type = FIELD_BOOL,
     .offset = AT(public),
     .help = "in the bucket that everybody may read; without it: private"},
    {.name = "lines", .type = FIELD_BOOL, .offset = AT(lines), .help = "each line of the input is a message"},
    {.name = "lease",
     .type = FIELD_BOOL,
     .offset = AT(lease),
     .help = "do not remove it: lease it, and print the receipt and a tab before it"},
    {.name = "recursive", .type = FIELD_BOOL, .offset = AT(recursive), .help = "with all that is in it"},
    {.name = "download", .type = FIELD_BOOL, .offset = AT(download), .help = "from the store to this machine"},
    {.name = "for-put", .type = FIELD_BOOL, .offset = AT(for_put), .help = "a link to PUT to, instead of one to GET"},
    {.name = "timeout",
     .type = FIELD_U32,
     .offset = AT(timeout),
     .value = "SECONDS",
     .fallback = "600",
     .min = 1,
     .max = 7 * 24 * 3600,
     .help = "the longest to wait, all retries together; of a transfer: without a byte"},
    {.name = "json", .type = FIELD_BOOL, .offset = AT(json), .help = "print the reply as JSON"},
};

// Here they go before those above.
static const struct field CACHE_ROWS[] = {
    {.name = "wait", .type = FIELD_BOOL, .offset = AT(follow), .help = "until it is done, showing how far it is"},
    {.name = "cancel", .type = FIELD_BOOL, .offset = AT(cancel), .help = "end a warm-up; what is fetched stays"},
    {.name = "path", .type = FIELD_TEXT, .offset = AT(inside), .value = "SUB", .help = "file or directory below it"},
    {.name = "dir",
     .type = FIELD_TEXT,
     .offset = AT(dir),
     .value = "CACHE_DIR",
     .help = "the directory of a node's disk that is the cache of all its volumes"},
};

static const char *const COMMON[][7] = {
    [OPTIONS_CACHE] = {"json", NULL},
    [OPTIONS_DRIVER] = {"controller", "node", "timeout", "json", NULL},
    [OPTIONS_STORE] = {"url", "token", "token-file", "ca-cert", "timeout", "json", NULL},
    [OPTIONS_STORE_ADMIN] = {"url", "admin-token", "admin-token-file", "ca-cert", "timeout", "json", NULL},
};

static void add_rows(const char *const *names, enum options_for whom, struct option_set *set) {
    const struct fields all = {.rows = ROWS, .count = ARRAY_SIZE(ROWS), .exact_case = true};
    const struct fields cache = {.rows = CACHE_ROWS, .count = ARRAY_SIZE(CACHE_ROWS), .exact_case = true};
    for (; names && *names; names++) {
        const struct field *row = whom == OPTIONS_CACHE ? fields_find(&cache, *names) : NULL;
        row = row ? row : fields_find(&all, *names);
        if (!row || set->fields.count == OPTIONS_MAX)
            abort();
        set->rows[set->fields.count++] = *row;
    }
}

void options_select(const char *const *names, enum options_for whom, struct option_set *ret) {
    *ret = (struct option_set){.fields = {.kind = "flag", .exact_case = true}};
    ret->fields.rows = ret->rows;
    add_rows(names, whom, ret);
    add_rows(COMMON[whom], whom, ret);
}

// Does this argument take the next one as its value?
static bool wants_value(const struct option_set *set, const char *flag) {
    if (strchr(flag, '='))
        return false;
    const struct field *row = fields_find(&set->fields, flag + 2);
    return row && row->type != FIELD_BOOL;
}

// Puts flags first and "--" behind them, which is the order that lib/base/fields.h reads.
static int flags_first(const struct option_set *set, int argc, char **argv, char **flags, int *ret_count,
                       struct err *err) {
    static char parameter[] = "--parameter";
    static char end[] = "--";
    int count = 0, others = 0;
    flags[count++] = argv[0];
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], "--")) {
            while (++i < argc)
                argv[others++] = argv[i];
            break;
        }
        char *flag = str_eq(argv[i], "-p") ? parameter : argv[i];
        bool help = str_eq(flag, "-h");
        if (!help && !str_starts(flag, "--")) {
            argv[others++] = argv[i];
            continue;
        }
        if (help)
            return -ECANCELED;
        flags[count++] = flag;
        if (!wants_value(set, flag))
            continue;
        if (++i == argc)
            return err_set(err, -EINVAL, "flag '%.60s' wants a value; see --help", flag);
        flags[count++] = argv[i];
    }
    flags[count++] = end;
    for (int i = 0; i < others; i++)
        flags[count++] = argv[i];
    *ret_count = count;
    return 0;
}

int options_parse(const struct option_set *set, struct options *options, int argc, char **argv, int *ret_count,
                  struct err *err) {
    char **flags cleanup_free = mem_array((size_t)argc + 3, sizeof *flags);
    int count = 0;
    if (!flags)
        return err_set(err, -ENOMEM, "out of memory");
    int r = flags_first(set, argc, argv, flags, &count, err);
    if (r == 0)
        r = fields_defaults(&set->fields, options, err);
    int first = 0;
    if (r == 0)
        r = fields_parse_args(&set->fields, options, count, flags, &first, err);
    if (r < 0)
        return r;
    memcpy(argv, flags + first, (size_t)(count - first) * sizeof *argv);
    *ret_count = count - first;
    return fields_required(&set->fields, options, err);
}

void options_done(const struct option_set *set, struct options *options) {
    fields_done(&set->fields, options);
}
