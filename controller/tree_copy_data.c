// SPDX-License-Identifier: Apache-2.0
// The bytes of regular files: chunks that are read, stripped of holes, and written, several of a file at a time.
#include <errno.h>
#include <string.h>

#include "controller/tree_copy_engine.h"
#include "lib/base/mem.h"

#define HOLE_BYTES (64 * 1024)
#define PROBE_BYTES (1024 * 1024) // shorter files that store nothing are read like any other

struct copy_chunk {
    struct copy_file *file;
    struct copy_chunk *older, *newer;
    uint64_t offset;
    uint32_t want, filled, written; // bytes from `offset`
    bool eof;
    uint8_t data[];
};

static void ready_add(struct copy_file *file) {
    struct copier *copier = file->copier;
    file->ready_next = NULL;
    file->queued = true;
    *(copier->ready_last ? &copier->ready_last->ready_next : &copier->ready_first) = file;
    copier->ready_last = file;
}

static void ready_take(struct copier *copier) {
    struct copy_file *file = copier->ready_first;
    copier->ready_first = file->ready_next;
    file->queued = false;
    if (!copier->ready_first)
        copier->ready_last = NULL;
}

void copy_data_begin(struct copy_file *file) {
    file->next = 0;
    file->size = file->attr.size;
    file->written_end = 0;
    file->has_verifier = file->resend = false;
    file->sparse = file->attr.used < file->attr.size;
    file->probing = file->attr.used == 0 && file->size >= PROBE_BYTES;
    if (file->size)
        ready_add(file);
    else
        copy_file_data_done(file);
}

static struct copy_chunk *chunk_new(struct copy_file *file, uint32_t want) {
    struct copier *copier = file->copier;
    struct copy_chunk *chunk = mem_alloc(sizeof *chunk + want);
    if (!chunk) {
        tree_loop_no_memory(&copier->loop);
        return NULL;
    }
    memset(chunk, 0, sizeof *chunk);
    chunk->file = file;
    chunk->offset = file->next;
    chunk->want = want;
    chunk->older = copier->chunks;
    if (chunk->older)
        chunk->older->newer = chunk;
    copier->chunks = chunk;
    copier->buffer_used += want;
    file->chunks++;
    file->next += want;
    return chunk;
}

static void chunk_free(struct copier *copier, struct copy_chunk *chunk) {
    *(chunk->newer ? &chunk->newer->older : &copier->chunks) = chunk->older;
    if (chunk->older)
        chunk->older->newer = chunk->newer;
    copier->buffer_used -= chunk->want;
    free(chunk);
}

void copy_data_done(struct copier *copier) {
    while (copier->chunks)
        chunk_free(copier, copier->chunks);
}

static bool all_zero(const uint8_t *data, size_t n) {
    return n == 0 || (data[0] == 0 && memcmp(data, data + 1, n - 1) == 0);
}

static void chunk_end(struct copy_chunk *chunk) {
    struct copy_file *file = chunk->file;
    struct copier *copier = file->copier;
    atomic_fetch_add(&copier->progress->bytes, chunk->filled);
    chunk_free(copier, chunk);
    file->chunks--;
    if (file->chunks == 0 && file->next >= file->size && !file->queued)
        copy_file_data_done(file);
}

// The next run of bytes from chunk->written that has to be written; its length, 0 at the end.
static uint32_t next_run(struct copy_chunk *chunk) {
    if (!chunk->file->sparse)
        return chunk->filled - chunk->written;
    uint32_t end = 0;
    for (uint32_t at = chunk->written; at < chunk->filled; at = end) {
        end = at + HOLE_BYTES < chunk->filled ? at + HOLE_BYTES : chunk->filled;
        bool zero = all_zero(chunk->data + at, end - at);
        if (zero && at > chunk->written)
            return at - chunk->written;
        if (zero)
            chunk->written = end;
    }
    return chunk->filled - chunk->written;
}

static void chunk_write(struct copy_chunk *chunk);

static void note_verifier(struct copy_file *file, const struct nfs_call *nfs) {
    if (nfs->committed)
        return;
    if (!file->has_verifier)
        memcpy(file->verifier, nfs->verifier, sizeof file->verifier);
    else if (memcmp(file->verifier, nfs->verifier, sizeof file->verifier) != 0)
        file->resend = true;
    file->has_verifier = true;
}

static void chunk_written(struct tree_call *call) {
    struct copy_chunk *chunk = call->owner;
    struct copy_file *file = chunk->file;
    int r = call->nfs.result;
    if (r < 0 || call->nfs.count == 0) {
        copy_file_fail(file, "write the copy of", r < 0 ? r : -EIO);
        return;
    }
    note_verifier(file, &call->nfs);
    chunk->written += call->nfs.count;
    if (chunk->offset + chunk->written > file->written_end)
        file->written_end = chunk->offset + chunk->written;
    chunk_write(chunk);
}

static void chunk_write(struct copy_chunk *chunk) {
    struct copy_file *file = chunk->file;
    uint32_t run = file->vanished ? 0 : next_run(chunk);
    if (!run) {
        chunk_end(chunk);
        return;
    }
    struct tree_call *call = tree_loop_call(&file->copier->loop, file->copier->to, NFS_WRITE, &file->to, NULL);
    if (!call)
        return;
    call->nfs.offset = chunk->offset + chunk->written;
    call->nfs.data = chunk->data + chunk->written;
    call->nfs.count = run;
    call->nfs.stable = file->size <= file->copier->chunk; // one WRITE instead of a WRITE and a COMMIT
    tree_loop_submit(call, chunk_written, chunk);
}

static void chunk_read(struct tree_call *call);

static void send_read(struct copy_chunk *chunk) {
    struct copy_file *file = chunk->file;
    struct tree_call *call = tree_loop_call(&file->copier->loop, file->copier->from, NFS_READ, &file->from, NULL);
    if (!call)
        return;
    call->nfs.offset = chunk->offset + chunk->filled;
    call->nfs.data = chunk->data + chunk->filled;
    call->nfs.count = chunk->want - chunk->filled;
    tree_loop_submit(call, chunk_read, chunk);
}

// The first chunk of a file that stores nothing came in: is it a hole from its beginning to its end?
static void probe_read(struct copy_chunk *chunk, const struct nfs_call *nfs) {
    struct copy_file *file = chunk->file;
    file->probing = false;
    if (!nfs->has_attr || nfs->attr.used != 0 || !all_zero(chunk->data, chunk->filled)) {
        if (file->next < file->size)
            ready_add(file);
        return;
    }
    if (file->size > file->next)
        atomic_fetch_add(&file->copier->progress->bytes, file->size - file->next);
    file->next = file->size;
}

static void chunk_read(struct tree_call *call) {
    struct copy_chunk *chunk = call->owner;
    struct copy_file *file = chunk->file;
    int r = call->nfs.result;
    if (r < 0 && !copy_is_gone(r)) {
        copy_file_fail(file, "read", r);
        return;
    }
    if (r < 0)
        file->vanished = true;
    else
        chunk->filled += call->nfs.count;
    bool eof = r < 0 || call->nfs.eof || call->nfs.count == 0;
    if (!eof && chunk->filled < chunk->want) {
        send_read(chunk);
        return;
    }
    if (eof && chunk->offset + chunk->filled < file->size)
        file->size = chunk->offset + chunk->filled; // it became shorter
    if (file->probing)
        probe_read(chunk, &call->nfs);
    chunk_write(chunk);
}

bool copy_data_step(struct copier *copier) {
    while (copier->ready_first) {
        struct copy_file *file = copier->ready_first;
        if (file->next >= file->size) { // became shorter, or vanished: its last chunk ends it
            ready_take(copier);
            if (file->chunks == 0)
                copy_file_data_done(file);
            continue;
        }
        uint64_t left = file->size - file->next;
        uint32_t want = left < copier->chunk ? (uint32_t)left : copier->chunk;
        if (copier->buffer_used && copier->buffer_used + want > copier->buffer_limit)
            return false;
        struct copy_chunk *chunk = chunk_new(file, want);
        if (!chunk)
            return false;
        ready_take(copier);
        if (file->next < file->size && !file->probing)
            ready_add(file); // in turn with the others
        send_read(chunk);
        return true;
    }
    return false;
}
