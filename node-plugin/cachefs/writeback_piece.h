// SPDX-License-Identifier: Apache-2.0
// Inside of writeback: one piece of written data and the lists it stands in.
#pragma once

#include "node-plugin/cachefs/writeback.h"

#define WB_WINDOW 32u                    // WRITEs in flight for one file
#define WB_GROW_SEND ((size_t)512 << 10) // a growing piece of this size is sent
#define WB_SMALL ((size_t)16 << 10)      // least buffer of a growing piece
#define WB_OWN_BUF ((size_t)128 << 10)   // from this size on the request's own buffer is kept instead of copied
#define WB_COMMIT_AT ((size_t)16 << 20)  // kept bytes of a file that start a COMMIT

enum wb_state { WB_QUEUED, WB_SENT, WB_KEPT };

struct wb_piece {
    struct wb *wb;
    struct wb_piece *prev, *next;
    enum wb_state state;
    bool stable, committing;
    bool resent; // the server lost it once
    uint64_t seq, offset;
    size_t len, cap, sent; // sent: acknowledged bytes of a partly done WRITE
    const uint8_t *data;
    uint32_t record;
    void *own;    // a block of the spool, when it may grow
    size_t block; // its bytes
    void *buf;    // of bufs
    struct nfs_cred cred;
    uint64_t again; // its WRITE's number on the wire, of a former daemon; 0: none
    uint8_t verifier[8];
    struct wb_wait *through;
    struct nfs_call call;
};

void wb_list_insert(struct wb_list *list, struct wb_piece *piece); // by seq
void wb_list_remove(struct wb_list *list, struct wb_piece *piece);
// Is older data of the same range kept? Then what is newer must be kept, too: should the server lose the older, both are
// sent again, in order.
bool wb_kept_overlaps(const struct wb *wb, const struct wb_piece *piece);
bool wb_piece_overlaps(const struct wb_piece *piece, uint64_t offset, uint64_t len);
struct wb_piece *wb_piece_new(struct wb *wb, const struct wb_write *write);
bool wb_piece_grow(struct wb_piece *piece, const struct wb_write *write); // contiguous, and there is room
void wb_piece_publish(struct wb_piece *piece);                            // from here on it outlives this process
void wb_piece_set_kept(struct wb_piece *piece, const uint8_t verifier[static 8]);
void wb_piece_set_lost(struct wb_piece *piece); // by the server: to be sent again
void wb_piece_address(struct wb_piece *piece);  // lets the call of its WRITE be known again by the server
void wb_piece_cut(struct wb_piece *piece, size_t len);
void wb_piece_free(struct wb_piece *piece);                                   // gives its bytes back to the budget
struct wb_piece *wb_piece_restore(struct wb *wb, uint32_t record) must_check; // NULL: not true, or out of memory
