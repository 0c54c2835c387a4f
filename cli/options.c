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
    {.name = "timeout",
     .type = FIELD_U32,
     .offset = AT(timeout),
     .value = "SECONDS",
     .fallback = "600",
     .min = 1,
     .max = 7 * 24 * 3600,
     .help = "the longest to wait, all retries together"},
    {.name = "json", .type = FIELD_BOOL, .offset = AT(json), .help = "print the reply as JSON"},
};

static const char *const COMMON[] = {"controller", "node", "timeout", "json", NULL};

static void add_rows(const char *const *names, struct option_set *set) {
    const struct fields all = {.rows = ROWS, .count = ARRAY_SIZE(ROWS), .exact_case = true};
    for (; names && *names; names++) {
        const struct field *row = fields_find(&all, *names);
        if (!row || set->fields.count == OPTIONS_MAX)
            abort();
        set->rows[set->fields.count++] = *row;
    }
}

void options_select(const char *const *names, struct option_set *ret) {
    *ret = (struct option_set){.fields = {.kind = "flag", .exact_case = true}};
    ret->fields.rows = ret->rows;
    add_rows(names, ret);
    add_rows(COMMON, ret);
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
