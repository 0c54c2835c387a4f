// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/cache.h"
#include "cli/call.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "lib/base/clock.h"

#define LOOK_NS (250 * NS_PER_MS)
#define LINE_NS (10 * NS_PER_S) // between two lines where no terminal is written to

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

static void watch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt}; // without SA_RESTART: it ends the pause
    (void)sigaction(SIGINT, &action, NULL);
}

static void show(const struct cli *cli, const struct json *work, int64_t started_ns, int64_t first) {
    static int64_t last_ns;
    char line[160], text[300], rate[24];
    int64_t now = clock_monotonic(&clock_system);
    if (!isatty(STDERR_FILENO) && now - (last_ns ? last_ns : started_ns) < LINE_NS)
        return;
    last_ns = now;
    cache_describe_work(work, line, sizeof line);
    double seconds = (double)(now - started_ns) / NS_PER_S;
    str_from_bytes((int64_t)((double)(json_get_int(work, "bytes_done", 0) - first) / (seconds > 0.1 ? seconds : 0.1)),
                   rate);
    (void)snprintf(text, sizeof text, "%s, %s/s", line, rate);
    call_progress(cli, text);
}

static int wait_until_done(const struct cli *cli, const char *path, struct json **ret, struct err *err) {
    int64_t started = clock_monotonic(&clock_system), first = -1;
    watch_interrupts();
    for (;;) {
        struct json *work cleanup(json_freep) = NULL;
        int r = cache_ask(path, "warm", &work, err);
        if (r == -ENODATA) { // the daemon was replaced meanwhile; its successor starts where that one was
            r = cache_tell(path, "warm", "1", err);
            if (r == 0)
                continue;
        }
        if (r < 0)
            return r;
        if (!str_eq(json_get_text(work, "state"), "running")) {
            call_progress_end(cli);
            *ret = take_ptr(work);
            return 0;
        }
        if (first < 0)
            first = json_get_int(work, "bytes_done", 0);
        show(cli, work, started, first);
        struct timespec pause = {.tv_nsec = LOOK_NS};
        (void)nanosleep(&pause, NULL);
        if (!interrupted)
            continue;
        call_progress_end(cli);
        return err_set(err, -EINTR,
                       "interrupted, but the warm-up goes on: the same command waits for it again, --cancel ends it");
    }
}

static int judge(const struct cli *cli, const char *path, const struct json *work, struct err *err) {
    const char *state = json_get_text(work, "state"), *error = json_get_text(work, "error");
    int64_t skipped = json_get_int(work, "skipped", 0), errors = json_get_int(work, "errors", 0);
    char line[160];
    if (str_eq(state, "failed"))
        return err_set(err, -EIO, "%s", error);
    if (str_eq(state, "cancelled"))
        return err_set(err, -ECANCELED,
                       "it was cancelled; what is fetched stays, and the same command goes on from there");
    cache_describe_work(work, line, sizeof line);
    if (!cli->options.json)
        (void)printf("'%s' is in the cache: %s\n", path, line);
    if (skipped && !cli->options.json)
        (void)printf("left out, because they are changing: %" PRId64 " files\n", skipped);
    return errors ? err_set(err, -EIO, "%" PRId64 " could not be fetched; the last: %s", errors, error) : 0;
}

static int follow(const struct cli *cli, const char *path, struct err *err) {
    struct json *work cleanup(json_freep) = NULL;
    int r = wait_until_done(cli, path, &work, err);
    if (r == 0 && cli->options.json)
        r = output_json(work, err);
    return r < 0 ? r : judge(cli, path, work, err);
}

static int print_state(const struct cli *cli, const char *path, struct err *err) {
    struct json *work cleanup(json_freep) = NULL;
    int r = cache_ask(path, "warm", &work, err);
    if (r < 0)
        return r;
    if (cli->options.json)
        return output_json(work, err);
    if (cli->options.cancel)
        (void)printf("the warm-up of '%s' is ended; what is fetched stays\n", path);
    else
        (void)printf("'%s' is being fetched; `stowage cache warm --wait %s` shows how far it is\n", path, path);
    return 0;
}

static int run(struct cli *cli, struct err *err) {
    char *path cleanup_free = NULL;
    if (cli->options.cancel && cli->options.follow)
        return err_set(err, -EINVAL, "give --wait or --cancel, not both");
    int r = cache_find(cli, &path, err);
    if (r == 0)
        r = cache_tell(path, "warm", cli->options.cancel ? "0" : "1", err);
    if (r < 0)
        return r;
    return cli->options.follow ? follow(cli, path, err) : print_state(cli, path, err);
}

const struct command command_cache_warm = {
    .group = "cache",
    .name = "warm",
    .arguments = "PATH|VOLUME",
    .min = 1,
    .max = 1,
    .summary = "fetch a file or directory into the node's cache",
    .detail =
        "Goes on in the background, after readers: what is complete is skipped, so that it can be ended and started "
        "again at\n"
        "any time. An interrupted --wait leaves it running. It ends when the cache has no room that may be taken.",
    .flags = (const char *const[]){"path", "wait", "cancel", NULL},
    .whom = OPTIONS_CACHE,
    .run = run,
};
