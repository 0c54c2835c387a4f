// SPDX-License-Identifier: Apache-2.0
// A client for tests that writes raw bytes, so that it can also say what no library would.
//
// Fails: anything that does not work, or takes more than ten seconds, fails the test.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int http_kit_connect(uint16_t port);          // to 127.0.0.1
int http_kit_connect_unix(const char *path);  // to a unix socket
void http_kit_send(int fd, const char *text); // all of it
void http_kit_send_bytes(int fd, const void *data, size_t len);
bool http_kit_try_send(int fd, const void *data, size_t len); // false: the server has closed
size_t http_kit_read_to_end(int fd, char *buf,
                            size_t size); // until the server closes, NUL-terminated; a reset ends it too

struct http_kit_reply {
    int status;
    char *head; // status line and fields
    char *body; // by Content-Length or chunks, NUL-terminated
    size_t len;
    bool complete; // the body came whole
};
// Reads one answer, and nothing behind it. `head_only`: it answers HEAD. To be freed with http_kit_reply_done.
void http_kit_read(int fd, bool head_only, struct http_kit_reply *ret);
void http_kit_reply_done(struct http_kit_reply *reply);
const char *http_kit_field(const struct http_kit_reply *reply, const char *name, char *buf,
                           size_t size); // NULL: absent
bool http_kit_closed(int fd);            // waits until the server has closed; false: it sent something instead

// Connects, sends `request`, reads one answer, closes.
void http_kit_ask(uint16_t port, const char *request, struct http_kit_reply *ret);
