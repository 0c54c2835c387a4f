// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/writeback_piece.h"

#include <string.h>

#include "lib/base/mem.h"

void wb_list_insert(struct wb_list *list, struct wb_piece *piece) {
    struct wb_piece *after = list->tail;
    while (after && after->seq > piece->seq)
        after = after->prev;
    piece->prev = after;
    piece->next = after ? after->next : list->head;
    *(piece->next ? &piece->next->prev : &list->tail) = piece;
    *(after ? &after->next : &list->head) = piece;
}

void wb_list_remove(struct wb_list *list, struct wb_piece *piece) {
    *(piece->prev ? &piece->prev->next : &list->head) = piece->next;
    *(piece->next ? &piece->next->prev : &list->tail) = piece->prev;
    piece->prev = piece->next = NULL;
}

bool wb_piece_overlaps(const struct wb_piece *piece, uint64_t offset, uint64_t len) {
    return piece->offset < offset + len && offset < piece->offset + piece->len;
}

static size_t room_for(size_t len) {
    size_t cap = WB_SMALL;
    while (cap < len)
        cap *= 2;
    return cap;
}

static bool give_memory(struct wb_piece *piece, const struct wb_write *write) {
    if (write->buf && write->len >= WB_OWN_BUF) {
        piece->buf = write->buf;
        piece->cap = NFS_IO_MAX;
        piece->data = write->data;
        return true;
    }
    piece->cap = room_for(write->len);
    piece->own = mem_alloc(piece->cap);
    if (!piece->own)
        return false;
    memcpy(piece->own, write->data, write->len);
    piece->data = piece->own;
    return true;
}

struct wb_piece *wb_piece_new(struct wb *wb, const struct wb_write *write) {
    struct wb_piece *piece = mem_zalloc(sizeof *piece);
    if (!piece)
        return NULL;
    *piece = (struct wb_piece){.wb = wb, .offset = write->offset, .len = write->len, .cred = *write->cred};
    piece->stable = write->stable;
    if (!give_memory(piece, write)) {
        free(piece);
        return NULL;
    }
    wb->mount->used += piece->cap;
    return piece;
}

static bool same_cred(const struct nfs_cred *a, const struct nfs_cred *b) {
    return a->uid == b->uid && a->gid == b->gid && a->group_count == b->group_count &&
           memcmp(a->groups, b->groups, a->group_count * sizeof a->groups[0]) == 0;
}

bool wb_piece_grow(struct wb_piece *piece, const struct wb_write *write) {
    size_t want = piece->len + write->len;
    if (piece->state != WB_QUEUED || !piece->own || piece->through || piece->sent || piece->resent ||
        piece->offset + piece->len != write->offset || want > piece->wb->mount->write_max ||
        !same_cred(&piece->cred, write->cred))
        return false;
    if (want > piece->cap) {
        size_t cap = room_for(want);
        void *grown = mem_realloc(piece->own, cap, 1);
        if (!grown)
            return false;
        piece->wb->mount->used += cap - piece->cap;
        piece->cap = cap;
        piece->data = piece->own = grown;
    }
    memcpy((uint8_t *)piece->own + piece->len, write->data, write->len);
    piece->len = want;
    return true;
}

void wb_piece_free(struct wb_piece *piece) {
    piece->wb->mount->used -= piece->cap;
    bufs_put(piece->wb->mount->bufs, piece->buf);
    free(piece->own);
    free(piece);
}
