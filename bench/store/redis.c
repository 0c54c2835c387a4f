// SPDX-License-Identifier: Apache-2.0
// Redis: SET, GET, and a stream with a consumer group.
#include <stdlib.h>
#include <string.h>

#include "bench/store/load.h"

static void ask_queue(struct client *c) {
    if (c->step == 0) {
        client_say(c, "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nm\r\n$%zu\r\n", c->load->bytes);
        client_say_message(c);
        client_say(c, "\r\n");
    } else if (c->step == 1) {
        client_say(c,
                   "*9\r\n$10\r\nXREADGROUP\r\n$5\r\nGROUP\r\n$5\r\ngroup\r\n$4\r\n%04u\r\n$5\r\nCOUNT\r\n$1\r\n1\r\n",
                   c->number);
        client_say(c, "$7\r\nSTREAMS\r\n$5\r\nbench\r\n$1\r\n>\r\n");
    } else {
        client_say(c, "*4\r\n$4\r\nXACK\r\n$5\r\nbench\r\n$5\r\ngroup\r\n$%zu\r\n%s\r\n", strlen(c->noted), c->noted);
    }
}

static void ask(struct client *c) {
    if (c->load->operation == QUEUE) {
        ask_queue(c);
    } else if (c->load->operation == KV_GET) {
        client_say(c, "*2\r\n$3\r\nGET\r\n$13\r\nkey:%09u\r\n", c->key);
    } else {
        client_say(c, "*3\r\n$3\r\nSET\r\n$13\r\nkey:%09u\r\n$%zu\r\n", c->key, c->load->bytes);
        client_say_bytes(c, c->load->value, c->load->bytes);
        client_say(c, "\r\n");
    }
}

// A whole value with all that is in it: its length, or 0 while some is missing. The second text in it is kept for noted.
static size_t value_length(const char *data, size_t length, struct client *c, int *texts) {
    size_t used = line_length(data, length);
    if (used == 0)
        return 0;
    long count = strtol(data + 1, NULL, 10);
    if (data[0] == '$' && count >= 0) {
        if (length < used + (size_t)count + 2)
            return 0;
        if (++*texts == 2 && (size_t)count < sizeof c->noted) {
            memcpy(c->noted, data + used, (size_t)count);
            c->noted[count] = '\0';
        }
        return used + (size_t)count + 2;
    }
    for (long i = 0; data[0] == '*' && i < count; i++) {
        size_t item = value_length(data + used, length - used, c, texts);
        if (item == 0)
            return 0;
        used += item;
    }
    return used;
}

static bool worked(const struct client *c, const char *data) {
    switch (c->load->operation) {
    case KV_PUT:
        return data[0] == '+';
    case KV_GET:
        return data[0] == '$' && strtoul(data + 1, NULL, 10) == c->load->bytes;
    default:
        return c->step == 0 ? data[0] == '$' : c->step == 1 ? data[0] == '*' && data[1] == '1' : data[1] == '1';
    }
}

static size_t answer(struct client *c, const char *data, size_t length) {
    int texts = 0;
    size_t used = value_length(data, length, c, &texts);
    if (used == 0)
        return 0;
    c->answered = true;
    c->failed = !worked(c, data);
    return used;
}

const struct protocol protocol_redis = {
    .name = "redis",
    .can = {[KV_PUT] = true, [KV_GET] = true, [QUEUE] = true},
    .queue_steps = 3,
    .ask = ask,
    .answer = answer,
};
