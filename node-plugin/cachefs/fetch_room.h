// SPDX-License-Identifier: Apache-2.0
// Those who wait for memory to read into, while what fills it is on its way to the disk.
//
// Why:     an origin may be faster than the disk of the cache. A reader that is served past the cache then leaves a copy in
//          part, and the next epoch reads the origin again; so readers are kept to the disk's pace. But no longer than it has
//          one: when nothing is given back for a second, they are served past it.
// Threads: the caller's lock is held throughout; what fetch_room_* returns is run without it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fetch_wait;

struct fetch_room { // zero
    struct fetch_wait *head, *tail;
    unsigned users;   // fetches that have memory
    int64_t moved_ns; // when the last of them gave it back, or the first took it
};

void fetch_room_taken(struct fetch_room *room, int64_t now_ns);
// The waits that are due: one, for what one fetch left behind; all when nobody is left who could give anything.
struct fetch_wait *fetch_room_given(struct fetch_room *room, int64_t now_ns);
// Is it worth waiting?
bool fetch_room_moves(const struct fetch_room *room, int64_t now_ns);
void fetch_room_wait(struct fetch_room *room, struct fetch_wait *wait);
void fetch_room_leave(struct fetch_room *room, struct fetch_wait *wait); // it waits there
// Once a second while somebody waits: all of them, when nothing moves.
struct fetch_wait *fetch_room_tick(struct fetch_room *room, int64_t now_ns);
