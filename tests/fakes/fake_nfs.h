// SPDX-License-Identifier: Apache-2.0
// An NFS share in memory, behind the same seam as the real one.
//
// Why:     tests of everything above lib/nfs run without a server, at any speed, and can fill it, deny it or restart
// it. Owns:    a store is reference-counted: by its creator and by every share opened on it. Two shares on one store
// are
//          two clients of one server; closing and opening again is a restart of the client.
// Threads: any. Each share runs its calls one after the other on a thread of its own, where `done` is called.
// Fails:   as a POSIX file system behind NFS does; tests/contract runs one suite against this and a real server.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/nfs/nfs.h"

struct fake_nfs_store;

struct fake_nfs_store *fake_nfs_store_new(void) must_check;
struct fake_nfs_store *fake_nfs_store_free(struct fake_nfs_store *store);
DEFINE_CLEANUP(fake_nfs_store)

struct nfs_share *fake_nfs_open(struct fake_nfs_store *store) must_check;
struct nfs_share *fake_nfs_new(void) must_check; // a share with a store of its own

void fake_nfs_set_limit(struct fake_nfs_store *store, uint64_t bytes);      // -ENOSPC beyond; 0: 1 TiB
void fake_nfs_set_file_limit(struct fake_nfs_store *store, uint64_t files); // -ENOSPC beyond; 0: one million
void fake_nfs_set_denied(struct fake_nfs_store *store, bool denied);        // every change is -EACCES
void fake_nfs_set_page(struct fake_nfs_store *store, size_t entries);       // of one READDIR; 0: 64
// As servers do whose cookies end with a change of the directory: a READDIR that goes on after one is -EBADE.
void fake_nfs_set_strict_cookies(struct fake_nfs_store *store, bool strict);
// As nfs-ganesha does while entries are removed: every other one of the next `count` READDIRs is -ENOENT.
void fake_nfs_set_confused(struct fake_nfs_store *store, unsigned count);
// The server starts again: another write verifier; with `lose`, data that was not committed is gone.
void fake_nfs_restart_server(struct fake_nfs_store *store, bool lose);
uint64_t fake_nfs_file_count(struct fake_nfs_store *store); // inodes, the root too
