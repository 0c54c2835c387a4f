// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

static void command_title(const struct command *command, char *buf, size_t size) {
    (void)snprintf(buf, size, "%s%s%s", command->group ? command->group : "", command->group ? " " : "", command->name);
}

static void print_overview(const char *group, FILE *out) {
    (void)fprintf(out, "usage: stowage %s [ARGUMENT...] [--flag...]\n\n", group ? group : "COMMAND");
    for (const struct command *const *c = commands; *c; c++) {
        char left[80], title[40];
        if (group && !str_eq((*c)->group, group))
            continue;
        command_title(*c, title, sizeof title);
        (void)snprintf(left, sizeof left, "%s%s%s", title, (*c)->arguments ? " " : "",
                       (*c)->arguments ? (*c)->arguments : "");
        (void)fprintf(out, "  %-32s %s\n", left, (*c)->summary);
    }
    if (!group)
        (void)fprintf(out, "  %-32s %s\n  %-32s %s\n  %-32s %s\n", "help [COMMAND]", "show this, or a command's help",
                      "completion [bash]", "print a completion script for bash", "--version", "show the version");
    (void)fprintf(out, "\n`stowage help COMMAND` shows its flags. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not "
                       "there (store).\n");
}

static void print_help(const struct command *command) {
    struct option_set set;
    char title[40];
    command_title(command, title, sizeof title);
    (void)printf("usage: stowage %s%s%s [--flag...]\n\n%s\n", title, command->arguments ? " " : "",
                 command->arguments ? command->arguments : "", command->summary);
    if (command->detail)
        (void)printf("\n%s\n", command->detail);
    (void)printf("\nFlags, also read from the environment as STOWAGE_NAME:\n");
    options_select(command->flags, command->whom, &set);
    fields_print_help(&set.fields);
    if (command->more_help)
        command->more_help();
}

// The command that the words name; `*ret_words` says how many belong to its name.
static const struct command *command_find(int argc, char **argv, int *ret_words) {
    for (const struct command *const *c = commands; *c; c++) {
        const char *group = (*c)->group;
        if (!group && argc > 1 && str_eq(argv[1], (*c)->name))
            *ret_words = 1;
        else if (group && argc > 2 && str_eq(argv[1], group) && str_eq(argv[2], (*c)->name))
            *ret_words = 2;
        else
            continue;
        return *c;
    }
    return NULL;
}

static const char *group_find(const char *word) {
    for (const struct command *const *c = commands; word && *c; c++)
        if (str_eq((*c)->group, word))
            return (*c)->group;
    return NULL;
}

static int complain(const char *title, const struct err *err) {
    (void)fprintf(stderr, "stowage%s%s: %s\n", title[0] ? " " : "", title, err_text(err));
    return EXIT_USAGE;
}

static int check_count(const struct cli *cli, struct err *err) {
    const struct command *command = cli->command;
    if (cli->argc < command->min)
        return err_set(err, -EINVAL, "%s is missing; see --help", command->arguments);
    if (cli->argc > command->max)
        return err_set(err, -EINVAL, "'%.60s' is one argument too many; see --help", cli->argv[command->max]);
    return 0;
}

static int command_run(const struct command *command, int argc, char **argv) {
    struct cli cli = {.command = command, .argv = argv};
    struct option_set set;
    struct err err = ERR_NONE;
    char title[40];
    int code = EXIT_DONE;
    command_title(command, title, sizeof title);
    options_select(command->flags, command->whom, &set);
    int r = options_parse(&set, &cli.options, argc, argv, &cli.argc, &err);
    if (r == 0)
        r = check_count(&cli, &err);
    if (r == -ECANCELED) {
        print_help(command);
    } else if (r < 0) {
        code = complain(title, &err);
    } else {
        r = command->run(&cli, &err);
        if (fflush(stdout) != 0 && r == 0)
            r = err_set(&err, -EIO, "standard output: %s", err_name(errno));
        if (r < 0) {
            (void)complain(title, &err);
            code = r == -ENOENT && command->whom == OPTIONS_STORE ? EXIT_NOTHING : EXIT_FAILED;
        }
    }
    options_done(&set, &cli.options);
    return code;
}

static int unknown_command(int argc, char **argv) {
    struct err err = ERR_NONE;
    const char *group = group_find(argv[1]);
    if (group && (argc == 2 || str_eq(argv[2], "--help") || str_eq(argv[2], "-h"))) {
        print_overview(group, argc == 2 ? stderr : stdout);
        return argc == 2 ? EXIT_USAGE : EXIT_DONE;
    }
    (void)err_set(&err, -EINVAL, "unknown command '%.40s%s%.40s'; `stowage help` lists them", argv[1], group ? " " : "",
                  group ? argv[2] : "");
    return complain("", &err);
}

static int help(int argc, char **argv) {
    int words = 0;
    const struct command *command = command_find(argc, argv, &words);
    if (command)
        print_help(command);
    else if (argc > 1 && !group_find(argv[1]))
        return unknown_command(argc, argv);
    else
        print_overview(argc > 1 ? group_find(argv[1]) : NULL, stdout);
    return EXIT_DONE;
}

static int completion(int argc, char **argv) {
    struct err err = ERR_NONE;
    if (argc > 3 || (argc == 3 && !str_eq(argv[2], "bash"))) {
        (void)err_set(&err, -EINVAL, "completion is there for bash: stowage completion bash");
        return complain("", &err);
    }
    command_print_completion();
    return EXIT_DONE;
}

int command_main(int argc, char **argv) {
    int words = 0;
    if (argc < 2) {
        print_overview(NULL, stderr);
        return EXIT_USAGE;
    }
    if (str_eq(argv[1], "--version") || str_eq(argv[1], "version")) {
        (void)printf("stowage %s\n", STOWAGE_VERSION);
        return EXIT_DONE;
    }
    if (str_eq(argv[1], "completion"))
        return completion(argc, argv);
    if (str_eq(argv[1], "help") || str_eq(argv[1], "--help") || str_eq(argv[1], "-h"))
        return help(argc - 1, argv + 1);
    const struct command *command = command_find(argc, argv, &words);
    return command ? command_run(command, argc - words, argv + words) : unknown_command(argc, argv);
}

void command_print_completion(void) {
    (void)printf(
        "# bash completion: . <(stowage completion bash)\n_stowage() {\n    local word=${COMP_WORDS[COMP_CWORD]}\n"
        "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (const struct command *const *c = commands; *c; c++) {
        struct option_set set;
        options_select((*c)->flags, (*c)->whom, &set);
        (void)printf("    '%s%s%s'*) [ \"$COMP_CWORD\" -le %d ] || { mapfile -t COMPREPLY < <(compgen -f -W '",
                     (*c)->group ? (*c)->group : (*c)->name, " ", (*c)->group ? (*c)->name : "", (*c)->group ? 2 : 1);
        for (size_t i = 0; i < set.fields.count; i++)
            (void)printf("--%s ", set.fields.rows[i].name);
        (void)printf("' -- \"$word\"); return; } ;;\n");
    }
    (void)printf("    esac\n    case $COMP_CWORD.${COMP_WORDS[1]} in\n    1.*) set --");
    for (const struct command *const *c = commands; *c; c++)
        if (c == commands || !(*c)->group || !str_eq((*c)->group, c[-1]->group))
            (void)printf(" %s", (*c)->group ? (*c)->group : (*c)->name);
    (void)printf(" help completion ;;\n");
    for (const struct command *const *c = commands; *c; c++) {
        if (!(*c)->group || (c != commands && str_eq((*c)->group, c[-1]->group)))
            continue;
        (void)printf("    2.%s) set --", (*c)->group);
        for (const struct command *const *in = commands; *in; in++)
            if (str_eq((*in)->group, (*c)->group))
                (void)printf(" %s", (*in)->name);
        (void)printf(" ;;\n");
    }
    (void)printf("    *) set -- ;;\n    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$*\" -- \"$word\")\n}\n"
                 "complete -F _stowage stowage\n");
}
