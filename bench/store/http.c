// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 as Stowage's store speaks it, and plain files as nginx serves and takes them.
#include <stdlib.h>
#include <string.h>

#include "bench/store/load.h"

static void head(struct client *c, const char *method, const char *path, unsigned key, bool has_key, uint64_t length) {
    client_say(c, "%s %s", method, path);
    if (has_key)
        client_say(c, "%09u", key);
    client_say(c, " HTTP/1.1\r\nHost: bench\r\n");
    if (c->load->token)
        client_say(c, "Authorization: Bearer %s\r\n", c->load->token);
    if (length > 0)
        client_say(c, "Content-Length: %llu\r\n", (unsigned long long)length);
    client_say(c, "\r\n");
}

static void ask_queue(struct client *c) {
    static const char receive[] = "{\"max\":1}";
    if (c->step == 0) {
        head(c, "POST", "/api/v1/queue/bench/messages", 0, false, c->load->bytes + strlen("{\"message\":\"\"}"));
        client_say(c, "{\"message\":\"");
        client_say_message(c);
        client_say(c, "\"}");
    } else if (c->step == 1) {
        head(c, "POST", "/api/v1/queue/bench/receive", 0, false, strlen(receive));
        client_say(c, "%s", receive);
    } else {
        head(c, "POST", "/api/v1/queue/bench/ack", 0, false, strlen(c->noted) + strlen("{\"receipts\":[\"\"]}"));
        client_say(c, "{\"receipts\":[\"%s\"]}", c->noted);
    }
}

static void ask(struct client *c) {
    const char *values = "/api/v1/kv/namespaces/bench/values/key:";
    const struct load *load = c->load;
    if (load->operation == QUEUE) {
        ask_queue(c);
    } else if (load->operation == KV_GET) {
        head(c, "GET", values, c->key, true, 0);
    } else if (load->operation == OBJECT_GET) {
        head(c, "GET", load->prefix, c->key, true, 0);
    } else {
        head(c, "PUT", load->operation == KV_PUT ? values : load->prefix, c->key, true, load->bytes);
        if (load->bytes <= INLINE_MAX)
            client_say_bytes(c, load->value, load->bytes);
        else
            c->body_to_send = load->bytes;
    }
}

static const char *find(const char *data, size_t length, const char *what) {
    return memmem(data, length, what, strlen(what));
}

// Every queue step must have had its effect: an empty receive or a lost lease is a failure.
static bool queue_step_worked(struct client *c, const char *body, size_t length) {
    static const char mark[] = "\"receipt\":\"";
    if (c->step == 0)
        return true;
    if (c->step == 2)
        return find(body, length, "\"settled\":1") != NULL;
    const char *receipt = find(body, length, mark);
    if (!receipt)
        return false;
    receipt += strlen(mark);
    const char *end = memchr(receipt, '"', length - (size_t)(receipt - body));
    if (!end || (size_t)(end - receipt) >= sizeof c->noted)
        return false;
    memcpy(c->noted, receipt, (size_t)(end - receipt));
    c->noted[end - receipt] = '\0';
    return true;
}

static size_t answer(struct client *c, const char *data, size_t length) {
    const char *end = find(data, length, "\r\n\r\n");
    if (!end)
        return 0;
    size_t head_length = (size_t)(end - data) + 4;
    const char *field = find(data, head_length, "\r\nContent-Length: ");
    uint64_t body = field ? strtoull(field + strlen("\r\nContent-Length: "), NULL, 10) : 0;
    bool large = body > INLINE_MAX;
    if (!large && length < head_length + body)
        return 0;
    c->answered = true;
    c->failed = length < 10 || data[9] != '2';
    if (c->load->operation == OBJECT_GET || c->load->operation == KV_GET)
        c->failed = c->failed || body != c->load->bytes;
    if (!large) {
        if (c->load->operation == QUEUE && !c->failed)
            c->failed = !queue_step_worked(c, data + head_length, (size_t)body);
        return head_length + (size_t)body;
    }
    c->body_to_skip = body - (length - head_length);
    return length;
}

const struct protocol protocol_http = {
    .name = "http",
    .can = {[KV_PUT] = true, [KV_GET] = true, [QUEUE] = true, [OBJECT_PUT] = true, [OBJECT_GET] = true},
    .queue_steps = 3,
    .ask = ask,
    .answer = answer,
};
