// SPDX-License-Identifier: Apache-2.0
// The FUSE session: the threads that read requests from the kernel.
//
// Owns:    the descriptor of /dev/fuse after session_start took it.
// Threads: `readers` threads of its own; replies are sent from any thread.
#pragma once

#include "node-plugin/cachefs/fs.h"

struct session;

int session_start(struct fs *fs, int fuse_fd, unsigned readers, struct session **ret, struct err *err) must_check;
// Waits until the kernel has our answer to INIT: with it, the kernel caps the readahead of the mount at what it offered
// (128 KiB), so what is set before is lost. False: not within `timeout_ms`, or the session ended.
bool session_wait_ready(const struct session *session, int timeout_ms);
// Stops reading requests, for good; what is being worked on goes on. False: a reader is still at it after the timeout.
bool session_pause(struct session *session, int timeout_ms);
// Will the kernel send again what a daemon that ended had read? Known once it is ready.
bool session_can_resume(const struct session *session);
// Becomes readable when the file system was unmounted or its connection aborted.
int session_end_fd(const struct session *session);
// Joins the readers (they end once the connection is gone) and closes /dev/fuse, which aborts what is left.
struct session *session_free(struct session *session);
