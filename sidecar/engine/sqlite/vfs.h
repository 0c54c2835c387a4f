// SPDX-License-Identifier: Apache-2.0
// The file layer of the store: SQLite's own "unix-excl", with the write-ahead log written in one piece a commit.
//
// Why:     SQLite writes every page of a commit by two system calls, which cost more than the page. Here they gather and go
//          out before the sync, before any read, and when there are too many.
// Order:   with synchronous=FULL a commit becomes visible to readers after its sync, so none looks for what is still here.
#pragma once

#define VFS_NAME "stowage"

void vfs_register(void); // once, behind sqlite3_initialize
