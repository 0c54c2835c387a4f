// SPDX-License-Identifier: Apache-2.0
// Unix sockets by path, as operators write them.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// The path of "/run/x.sock", "unix:/run/x.sock" or "unix:///run/x.sock". -EINVAL: empty; -ENAMETOOLONG.
int address_path(const char *socket, const char **ret, struct err *err) must_check;

// A connected socket. Errors name the path.
int address_connect(const char *path, int *ret, struct err *err) must_check;

// Servers that start in one directory take turns from looking at the socket until they listen: otherwise two that found
// the same dead socket would each remove what the other had just made. The turn ends with *ret, a lock on the directory
// that leaves nothing behind. -EADDRINUSE: it did not come within 5 s.
int address_take_turn(const char *path, int *ret, struct err *err) must_check;

// In one's turn, makes room for a server's socket: 0 when nothing is there or a dead socket was; -EADDRINUSE when a server answers,
// -ENOTSOCK when it is something else, which is left alone.
int address_prepare(const char *path, struct err *err) must_check;

// What the C core takes as an address of `path`, percent-encoded. Allocated.
char *address_uri(const char *path) must_check;
