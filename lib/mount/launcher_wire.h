// SPDX-License-Identifier: Apache-2.0
// What a launcher's client and service send each other: one message a request and one a reply, each a JSON object with
// at most one descriptor, over a unix socket that keeps message boundaries (SOCK_SEQPACKET).
//
//     {"op":"probe"}                                                      → {"code":0}
//     {"op":"spawn","args":["--server","10.0.0.5",…]} + ready descriptor  → {"code":0,"daemon":{…}} + pidfd
//     {"op":"open","daemon":{"pid":7,"start":123,"domain":"…"}}           → {"code":0} + pidfd
//     {"op":"signal","daemon":{…},"signal":15}                            → {"code":0}
//     anything that fails                                                 → {"code":-3,"message":"…"}
//
// Private to lib/mount.
#pragma once

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/json.h"

#define WIRE_MAX (64 * 1024) // bytes of a message

// `fd` -1: none goes along.
int wire_send(int socket, const struct json *message, int fd, struct err *err) must_check;
// Waits until `deadline_ns` (absolute CLOCK_MONOTONIC). *ret_fd is -1 when none came along.
int wire_receive(int socket, int64_t deadline_ns, struct json **ret, int *ret_fd, struct err *err) must_check;
// 0, or -ENAMETOOLONG.
struct sockaddr_un;
int wire_address(const char *path, struct sockaddr_un *ret, struct err *err) must_check;
