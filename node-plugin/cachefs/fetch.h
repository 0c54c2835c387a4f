// SPDX-License-Identifier: Apache-2.0
// Data on its way from the origin: to whoever waits for it, and to the cache.
//
// Why:     a block is asked for once however many want it; who waits is served from the buffer it arrived in, before the disk
//          has it; and what nobody waits for yet must not be in the way of what somebody does.
// Owns:    the buffers, a share of the node's memory, the threads that store.
// Threads: any; one lock inside. `run` of a wait is called without it, on any thread, also within fetch_*.
// Fails:   the origin's error goes to those who wait; an error of the cache only leaves the data unstored.
// Order:   its lock may be held around lib/cache, never around nfs_submit or a reply.
//
//     fetch_request ──► QUEUED ──► READING ──answer──► LANDED ──► stored or not ──► gone (the cache has it, or the next asks anew)
//                       demand before readahead before warm-up
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/nfs/nfs.h"

struct cached;
struct fetch;
struct fetcher;
struct fs;
struct inode;

enum fetch_priority { FETCH_DEMAND, FETCH_AHEAD, FETCH_WARM, FETCH_PRIORITY_COUNT };

struct fetch_wait { // zero, then embedded in who waits
    void (*run)(struct fetch_wait *wait);
    bool stored;         // comes when the data is in the cache as well, or will not get there
    struct fetch *fetch; // what came; to be given back by fetch_put
    struct fetch_wait *next;
    bool linked;
};

struct fetch_range { // what fetch_request is asked for
    struct inode *inode;
    struct cached *object;
    const struct nfs_cred *cred;
    uint64_t from, to; // bytes of the file; whole blocks are fetched
    enum fetch_priority priority;
};

int fetcher_new(struct fs *fs, uint64_t memory_limit, struct fetcher **ret, struct err *err) must_check;
// After the share was closed, so that nothing is on its way.
struct fetcher *fetcher_free(struct fetcher *fetcher);

// Sees to it that all of the range is here or on its way. 0, or for other than demand -ENOSPC or -ENOBUFS: not now. For demand
// -EAGAIN: there is no memory, but what fills it is on its way to the disk (fetch_wait_room). Otherwise demand is read without storing.
int fetch_request(const struct fetch_range *range);
// Waits for what holds byte `offset`. 1: it is there already, in wait->fetch; 0: `run` comes; -ENOENT: nothing is on its way.
int fetch_join(struct inode *inode, uint64_t offset, struct fetch_wait *wait);
// `run` comes, without a fetch, when a request may find memory. False: do not wait, ask again.
bool fetch_wait_room(struct fs *fs, struct fetch_wait *wait);
bool fetch_tick(struct fs *fs);                            // once a second; true: somebody waits for memory
bool fetch_unwait(struct fs *fs, struct fetch_wait *wait); // true: `run` will not come
void fetch_put(struct fs *fs, struct fetch *fetch);

// Of a fetch that came.
int fetch_result(const struct fetch *fetch); // 0 or -errno
bool fetch_is_stored(const struct fetch *fetch);
uint64_t fetch_offset(const struct fetch *fetch);
uint32_t fetch_len(const struct fetch *fetch); // less than asked for: the file ends there now
const char *fetch_data(const struct fetch *fetch);
