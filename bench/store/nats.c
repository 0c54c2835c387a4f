// SPDX-License-Identifier: Apache-2.0
// NATS JetStream: publish, pull one message, acknowledge it; each answered by the server before the next.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/store/load.h"

static void greet(struct client *c) {
    client_say(c, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB inbox.%u 1\r\n", c->number);
}

static void ask(struct client *c) {
    if (c->step == 0) {
        client_say(c, "PUB bench inbox.%u %zu\r\n", c->number, c->load->bytes);
        client_say_message(c);
        client_say(c, "\r\n");
    } else if (c->step == 1) {
        client_say(c, "PUB $JS.API.CONSUMER.MSG.NEXT.bench.worker inbox.%u 1\r\n1\r\n", c->number);
    } else {
        client_say(c, "PUB %s inbox.%u 4\r\n+ACK\r\n", c->noted, c->number);
    }
}

// MSG SUBJECT SID [REPLY-TO] BYTES, then the payload; HMSG (with a status in place of a message) is a failure.
static size_t message(struct client *c, const char *data, size_t length, size_t line) {
    char copy[512], reply[400];
    size_t bytes = 0;
    if (line >= sizeof copy)
        return c->answered = c->failed = true, line;
    memcpy(copy, data, line);
    copy[line] = '\0';
    bool with_reply = sscanf(copy, "%*s %*s %*s %399s %zu", reply, &bytes) == 2; // NOLINT(cert-err34-c): our own server
    const char *last = strrchr(copy, ' ');
    bytes = last ? strtoul(last + 1, NULL, 10) : 0;
    if (length < line + bytes + 2)
        return 0;
    c->answered = true;
    c->failed = data[0] == 'H' || (c->step == 1 && !with_reply) ||
                (c->step == 0 && memmem(data + line, bytes, "\"error\"", strlen("\"error\"")));
    if (c->step == 1 && with_reply)
        (void)snprintf(c->noted, sizeof c->noted, "%s", reply);
    return line + bytes + 2;
}

static size_t answer(struct client *c, const char *data, size_t length) {
    size_t line = line_length(data, length);
    if (line == 0)
        return 0;
    if (memcmp(data, "MSG ", 4) == 0 || memcmp(data, "HMSG", 4) == 0)
        return message(c, data, length, line);
    if (memcmp(data, "PING", 4) == 0)
        client_say(c, "PONG\r\n");
    else if (data[0] == '-')
        c->answered = c->failed = true;
    return line;
}

const struct protocol protocol_nats = {
    .name = "nats",
    .can = {[QUEUE] = true},
    .queue_steps = 3,
    .greet = greet,
    .ask = ask,
    .answer = answer,
};
