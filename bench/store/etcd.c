// SPDX-License-Identifier: Apache-2.0
// etcd's KV.Put: as much of HTTP/2 (RFC 9113) and gRPC as one request at a time needs, so that the client costs no more here
// than for the others.
#include <string.h>

#include "bench/store/load.h"

enum frame { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
#define END_STREAM 0x1
#define ACK 0x1
#define END_HEADERS 0x4
#define FRAME_HEAD 9u

static void frame(struct client *c, enum frame type, unsigned flags, uint32_t stream, size_t length) {
    unsigned char head[FRAME_HEAD] = {
        (unsigned char)(length >> 16), (unsigned char)(length >> 8), (unsigned char)length,
        (unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream,
    };
    client_say_bytes(c, head, sizeof head);
}

static void greet(struct client *c) {
    static const unsigned char window[4] = {0x7f, 0xfe, 0, 0}; // what answers may fill without being told again
    client_say(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(c, SETTINGS, 0, 0, 0);
    frame(c, WINDOW_UPDATE, 0, 0, sizeof window);
    client_say_bytes(c, window, sizeof window);
}

static void ask(struct client *c) {
    // HPACK (RFC 7541): indexed fields of the static table, and literals that are not added to the dynamic one
    static const char fields[] = "\x83\x86"                     // :method POST, :scheme http
                                 "\x04\x14/etcdserverpb.KV/Put" // :path
                                 "\x01\x05"
                                 "bench" // :authority
                                 "\x0f\x10\x10"
                                 "application/grpc" // content-type
                                 "\x00\x02te\x08trailers";
    size_t size = c->load->bytes;
    size_t message = 2 + 13 + 3 + size; // key: one byte of length; value: two
    unsigned char text[] = {0,    0, 0, (unsigned char)(message >> 8), (unsigned char)message, // gRPC
                            0x0a, 13};
    unsigned char value[] = {0x12, (unsigned char)((size & 0x7f) | 0x80), (unsigned char)(size >> 7)};
    c->stream = c->stream ? c->stream + 2 : 1;
    c->data_seen = false;
    frame(c, HEADERS, END_HEADERS, c->stream, sizeof fields - 1);
    client_say_bytes(c, fields, sizeof fields - 1);
    frame(c, DATA, END_STREAM, c->stream, 5 + message);
    client_say_bytes(c, text, sizeof text);
    client_say(c, "key:%09u", c->key);
    client_say_bytes(c, value, sizeof value);
    client_say_bytes(c, c->load->value, size);
}

static size_t answer(struct client *c, const char *data, size_t length) {
    const unsigned char *head = (const unsigned char *)data;
    if (length < FRAME_HEAD)
        return 0;
    size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    if (length < FRAME_HEAD + size)
        return 0;
    unsigned type = head[3], flags = head[4];
    if (type == DATA) {
        c->data_seen = true;
    } else if (type == HEADERS && (flags & END_STREAM)) {
        c->answered = true;
        c->failed = !c->data_seen; // an error has trailers only
    } else if (type == RST_STREAM || type == GOAWAY) {
        c->answered = c->failed = true;
    } else if (type == SETTINGS && !(flags & ACK)) {
        frame(c, SETTINGS, ACK, 0, 0);
    } else if (type == PING && !(flags & ACK)) {
        frame(c, PING, ACK, 0, size);
        client_say_bytes(c, data + FRAME_HEAD, size);
    }
    return FRAME_HEAD + size;
}

const struct protocol protocol_etcd = {
    .name = "etcd",
    .can = {[KV_PUT] = true},
    .greet = greet,
    .ask = ask,
    .answer = answer,
};
