// SPDX-License-Identifier: Apache-2.0
// The server's half of tests/support/fuse_kit.h.
#pragma once

struct fuse_kit;
// Serves until the mount is gone or the test is; ends the process.
__attribute__((noreturn)) void fuse_kit_server(struct fuse_kit *kit);
