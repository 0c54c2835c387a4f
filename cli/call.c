// SPDX-License-Identifier: Apache-2.0
#include "cli/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/message_json.h"
#include "cli/methods.h"
#include "lib/base/clock.h"

#define PAUSE_FIRST_NS (200 * NS_PER_MS)
#define PAUSE_LONGEST_NS (2 * NS_PER_S)

static int64_t deadline(const struct cli *cli) {
    static int64_t start; // of the command: all its calls share one time limit
    if (!start)
        start = clock_monotonic(&clock_system);
    return start + (int64_t)cli->options.timeout * NS_PER_S;
}

void call_progress(const struct cli *cli, const char *text) {
    static char shown[RPC_MESSAGE_MAX];
    if (cli->options.json || strcmp(shown, text) == 0)
        return;
    (void)snprintf(shown, sizeof shown, "%s", text);
    (void)fprintf(stderr, isatty(STDERR_FILENO) ? "\r\033[K%s" : "%s\n", text);
    (void)fflush(stderr);
}

void call_progress_end(const struct cli *cli) {
    if (!cli->options.json && isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r\033[K");
}

int call_pause(const struct cli *cli, unsigned n, struct err *err) {
    int64_t pause = PAUSE_FIRST_NS << (n < 4 ? n : 4), left = deadline(cli) - clock_monotonic(&clock_system);
    if (pause > PAUSE_LONGEST_NS)
        pause = PAUSE_LONGEST_NS;
    if (left <= 0)
        return err_set(err, -ETIMEDOUT,
                       "not done after %u s; the driver goes on with it: run the same command again to wait for it, or "
                       "raise --timeout",
                       cli->options.timeout);
    if (pause > left)
        pause = left;
    struct timespec wait = {.tv_sec = pause / NS_PER_S, .tv_nsec = pause % NS_PER_S};
    (void)nanosleep(&wait, NULL);
    return 0;
}

static const struct {
    enum rpc_code code;
    int error;
    const char *advice; // added where the server's own words cannot say it
} CODES[] = {
    {RPC_UNAVAILABLE, -EHOSTUNREACH, "; see the daemon's log and try again"},
    {RPC_DEADLINE_EXCEEDED, -ETIMEDOUT, "; raise --timeout, or see whether the NFS server answers"},
    {RPC_UNIMPLEMENTED, -EOPNOTSUPP, "; does the socket belong to the right daemon?"},
    {RPC_NOT_FOUND, -ENOENT, ""},
    {RPC_INVALID_ARGUMENT, -EINVAL, ""},
    {RPC_ALREADY_EXISTS, -EEXIST, ""},
    {RPC_ABORTED, -EAGAIN, ""},
    {RPC_INTERNAL, -EIO, "; the daemon's log has the request"},
};

static int failure(const struct method *method, const struct rpc_status *status, struct err *err) {
    for (size_t i = 0; i < ARRAY_SIZE(CODES); i++)
        if (CODES[i].code == status->code)
            return err_set(err, CODES[i].error, "%s: %s: %s%s", method->name, rpc_code_name(status->code),
                           status->message, CODES[i].advice);
    return err_set(err, -EIO, "%s: %s: %s", method->name, rpc_code_name(status->code), status->message);
}

static int connect_to(const struct cli *cli, const struct method *method, struct rpc_client **ret, struct err *err) {
    bool node = method->server == SERVED_BY_NODE || (method->server == SERVED_BY_BOTH && cli->options.at == 1);
    const char *socket = node ? cli->options.node : cli->options.controller;
    int r = rpc_client_connect(socket, ret, err);
    if (r < 0 && err)
        r = err_wrap(err, r, "%s is not reachable (start it, or give its socket with --%s)",
                     node ? "stowage-node" : "stowage-controller", node ? "node" : "controller");
    return r;
}

// Repeats while the driver answers ABORTED: it is busy with this very volume, as a rule copying.
static int call_patiently(struct cli *cli, struct rpc_client *client, const struct method *method,
                          const ProtobufCMessage *request, ProtobufCMessage **ret, struct err *err) {
    for (unsigned n = 0;; n++) {
        struct rpc_status status = {.code = RPC_OK};
        int r = rpc_client_call(client, method->path, request, method->output, ret, deadline(cli), &status);
        if (r == 0)
            return 0;
        if (status.code != RPC_ABORTED || cli->options.no_wait)
            return failure(method, &status, err);
        call_progress(cli, status.message);
        r = call_pause(cli, n, err);
        if (r < 0)
            return r;
    }
}

int call(struct cli *cli, const char *method_name, const struct json *request, struct json **ret, struct err *err) {
    struct method method;
    struct rpc_client *client cleanup(rpc_client_freep) = NULL;
    ProtobufCMessage *message cleanup(rpc_message_freep) = NULL;
    ProtobufCMessage *reply cleanup(rpc_message_freep) = NULL;
    int r = method_find(method_name, &method, err);
    if (r == 0)
        r = message_from_json(request, method.input, &message, err);
    if (r == 0)
        r = connect_to(cli, &method, &client, err);
    if (r < 0)
        return r;
    r = call_patiently(cli, client, &method, message, &reply, err);
    call_progress_end(cli);
    return r < 0 ? r : message_to_json(reply, ret, err);
}
