// SPDX-License-Identifier: Apache-2.0
// A server that passes requests on, between a client and an upstream that both write raw bytes. To be included after cm.h.
//
// Fails: anything that does not work, or takes more than ten seconds, fails the test.
#pragma once

#include "lib/http/server.h"
#include "lib/http/upstream.h"
#include "tests/support/http_kit.h"

struct forward_kit {
    int listener;
    uint16_t port; // of the upstream
    struct http_upstream *upstream;
    struct http_server *server;
    int ended; // how often the watcher was told of an end
    unsigned status;
    char body[64];
};
extern struct forward_kit forward_kit;

int forward_kit_set_up(void **state);
int forward_kit_tear_down(void **state);
void forward_kit_listen(void); // the upstream, again on its port

int forward_kit_client(void); // a connection to the server
int forward_kit_link(void);   // one from it to the upstream
void forward_kit_expect_no_link(void);
int forward_kit_kept_link(int client); // a connection that is kept after one exchange

extern char forward_kit_seen[65536];                         // what was read last
const char *forward_kit_read_until(int fd, const char *end); // until `end` stands there
const char *forward_kit_read_head(int fd);
void forward_kit_expect_closed(int fd);
void forward_kit_expect(int client, int status, const char *body); // a whole answer; `body`: a part of it, NULL: any
void forward_kit_wait_for_ends(int count);

#define GET "GET /api/x HTTP/1.1\r\nHost: us\r\n\r\n"
#define POST "POST /api/x HTTP/1.1\r\nHost: us\r\nContent-Length: 2\r\n\r\nhi"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
