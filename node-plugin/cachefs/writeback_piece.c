// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/writeback_piece.h"

#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/state.h"

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

bool wb_kept_overlaps(const struct wb *wb, const struct wb_piece *piece) {
    for (const struct wb_piece *p = wb->kept.head; p && p->seq < piece->seq; p = p->next)
        if (wb_piece_overlaps(p, piece->offset, piece->len))
            return true;
    return false;
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
    piece->block = piece->cap = room_for(write->len);
    piece->own = spool_take(piece->wb->mount->bufs->spool, piece->block);
    if (!piece->own)
        return false;
    memcpy(piece->own, write->data, write->len);
    piece->data = piece->own;
    return true;
}

static struct piece_record *record_of(const struct wb_piece *piece) {
    return slots_at(piece->wb->mount->records, piece->record);
}

static uint64_t block_name(const struct wb_piece *piece) {
    const struct bufs *bufs = piece->wb->mount->bufs;
    return piece->own ? spool_name(bufs->spool, piece->own, piece->block)
                      : spool_name(bufs->spool, piece->buf, bufs->size);
}

static void fill_record(const struct wb_piece *piece) {
    struct piece_record *record = record_of(piece);
    const uint8_t *start = piece->own ? piece->own : piece->buf;
    record->node = piece->wb->node;
    record->fh = piece->wb->fh;
    record->cred = piece->cred;
    record->seq = piece->seq;
    record->offset = piece->offset;
    record->block = block_name(piece);
    record->start = (uint32_t)(piece->data - start);
    record->len = (unsigned)piece->len;
    record->stable = piece->stable;
}

void wb_piece_publish(struct wb_piece *piece) {
    struct slots *records = piece->wb->mount->records;
    if (slots_is_live(records, piece->record))
        return;
    fill_record(piece);
    slots_publish(records, piece->record);
}

struct wb_piece *wb_piece_new(struct wb *wb, const struct wb_write *write) {
    struct wb_piece *piece = mem_zalloc(sizeof *piece);
    if (!piece)
        return NULL;
    *piece = (struct wb_piece){.wb = wb, .offset = write->offset, .len = write->len, .cred = *write->cred};
    piece->stable = write->stable;
    piece->record = slots_take(wb->mount->records);
    if (!piece->record || !give_memory(piece, write)) {
        if (piece->record)
            slots_give(wb->mount->records, piece->record);
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
        struct spool *spool = piece->wb->mount->bufs->spool;
        void *grown = spool_take(spool, cap), *old = piece->own;
        size_t old_block = piece->block;
        if (!grown)
            return false;
        memcpy(grown, old, piece->len);
        piece->wb->mount->used += cap - piece->cap;
        piece->block = piece->cap = cap;
        piece->data = piece->own = grown;
        record_of(piece)->block = block_name(piece); // one store: the record names a block with all of it throughout
        spool_give(spool, old, old_block);
    }
    memcpy((uint8_t *)piece->own + piece->len, write->data, write->len);
    piece->len = want;
    record_of(piece)->len = (unsigned)want;
    return true;
}

// A later daemon must not send again what the server has: a truncation may have come after it.
void wb_piece_set_kept(struct wb_piece *piece, const uint8_t verifier[static 8]) {
    struct piece_record *record = record_of(piece);
    piece->state = WB_KEPT;
    memcpy(piece->verifier, verifier, sizeof piece->verifier);
    memcpy(record->verifier, verifier, sizeof record->verifier);
    record->kept = 1;
}

void wb_piece_set_lost(struct wb_piece *piece) {
    piece->state = WB_QUEUED;
    piece->resent = true;
    piece->sent = 0;
    piece->again = 0; // whatever the server answered then is not so any more
    record_of(piece)->kept = 0;
}

void wb_piece_address(struct wb_piece *piece) {
    piece->call.sent = &record_of(piece)->sent;
    if (piece->sent == 0)
        piece->call.again = piece->again;
    piece->again = 0;
}

void wb_piece_cut(struct wb_piece *piece, size_t len) {
    piece->len = len;
    record_of(piece)->len = (unsigned)len;
}

void wb_piece_free(struct wb_piece *piece) {
    struct wb_mount *mount = piece->wb->mount;
    slots_give(mount->records, piece->record); // before its memory is somebody else's
    mount->used -= piece->cap;
    bufs_put(mount->bufs, piece->buf);
    if (piece->own)
        spool_give(mount->bufs->spool, piece->own, piece->block);
    free(piece);
}

struct wb_piece *wb_piece_restore(struct wb *wb, uint32_t index) {
    const struct piece_record *record = slots_at(wb->mount->records, index);
    struct spool *spool = wb->mount->bufs->spool;
    size_t block = 0;
    uint8_t *own = spool_claim(spool, record->block, &block);
    struct wb_piece *piece = own ? mem_zalloc(sizeof *piece) : NULL;
    bool fits = own && record->start <= block && record->len <= block - record->start;
    if (!piece || !fits) {
        if (own)
            spool_give(spool, own, block);
        free(piece);
        return NULL;
    }
    *piece = (struct wb_piece){.wb = wb,
                               .record = index,
                               .seq = record->seq,
                               .offset = record->offset,
                               .len = record->len,
                               .cap = block,
                               .own = own,
                               .block = block,
                               .data = own + record->start,
                               .cred = record->cred,
                               .stable = record->stable,
                               .again = record->sent,
                               .state = record->kept ? WB_KEPT : WB_QUEUED,
                               .resent = true}; // neither held back nor grown
    memcpy(piece->verifier, record->verifier, sizeof piece->verifier);
    wb->mount->used += piece->cap;
    return piece;
}
