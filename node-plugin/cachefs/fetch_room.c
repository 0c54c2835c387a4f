// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/fetch_room.h"

#include "lib/base/clock.h"
#include "node-plugin/cachefs/fetch.h"

#define PATIENCE_NS NS_PER_S

static struct fetch_wait *take_first(struct fetch_room *room) {
    struct fetch_wait *wait = room->head;
    if (!wait)
        return NULL;
    room->head = wait->next;
    if (!room->head)
        room->tail = NULL;
    wait->linked = false;
    wait->next = NULL;
    return wait;
}

static struct fetch_wait *take_all(struct fetch_room *room) {
    struct fetch_wait *all = room->head;
    for (struct fetch_wait *wait = all; wait; wait = wait->next)
        wait->linked = false;
    room->head = room->tail = NULL;
    return all;
}

void fetch_room_taken(struct fetch_room *room, int64_t now_ns) {
    if (room->users++ == 0)
        room->moved_ns = now_ns;
}

struct fetch_wait *fetch_room_given(struct fetch_room *room, int64_t now_ns) {
    room->moved_ns = now_ns;
    return --room->users == 0 ? take_all(room) : take_first(room);
}

bool fetch_room_moves(const struct fetch_room *room, int64_t now_ns) {
    return room->users > 0 && now_ns - room->moved_ns < PATIENCE_NS;
}

void fetch_room_wait(struct fetch_room *room, struct fetch_wait *wait) {
    wait->linked = true;
    wait->fetch = NULL; // tells it from the wait for a fetch
    wait->next = NULL;
    *(room->tail ? &room->tail->next : &room->head) = wait;
    room->tail = wait;
}

void fetch_room_leave(struct fetch_room *room, struct fetch_wait *wait) {
    struct fetch_wait *before = NULL;
    for (struct fetch_wait *at = room->head; at != wait; at = at->next)
        before = at;
    *(before ? &before->next : &room->head) = wait->next;
    if (room->tail == wait)
        room->tail = before;
    wait->linked = false;
}

struct fetch_wait *fetch_room_tick(struct fetch_room *room, int64_t now_ns) {
    return fetch_room_moves(room, now_ns) ? NULL : take_all(room);
}
