// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/dir.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/dir_names.h"
#include "node-plugin/cachefs/op.h"

#define RESTARTS_MAX 64 // of one listing, in a directory that never stops changing

struct short_entry { // what is left of an entry after it was given out
    uint64_t fileid;
    uint32_t mode, name; // name: offset in `names`
};
struct dir_page {
    uint64_t first;                // index of its first entry
    uint64_t moment, write_moment; // nodes_moment and wb_moment when it was asked for
    int64_t asked_at;
    size_t count;
    struct nfs_dirent *entries; // NULL once shrunk
    struct short_entry *shorts;
    char *names;
};

struct dir {
    struct fs *fs;
    struct nfs_fh fh;
    struct nfs_cred cred;
    pthread_mutex_t lock;
    unsigned refs; // the handle's, and that of the call in flight
    struct dir_page *pages;
    size_t page_count, page_cap, shrunk;
    uint64_t total, given;
    bool eof, fetching, plus, discard, closed, started;
    int error;
    uint64_t cookie;
    uint8_t verifier[8];
    struct op *waiter;
    uint64_t wanted;
    uint64_t moment, write_moment, fileid, silly_gone;
    int64_t asked_at;
    struct dir_record *record; // NULL: none
    bool resumed;              // the record tells where the reader may go on
    struct dir_names listed;   // before the last restart
    unsigned restarts;
    struct nfs_call call;
};

static void page_done(struct dir_page *page) {
    free(page->entries);
    free(page->shorts);
    free(page->names);
    *page = (struct dir_page){0};
}

static void forget_pages(struct dir *dir) {
    for (size_t i = 0; i < dir->page_count; i++)
        page_done(&dir->pages[i]);
    dir->page_count = dir->shrunk = 0;
    dir->total = dir->given = dir->cookie = 0;
    dir->eof = false;
    dir->error = 0;
    dir->restarts = 0;
    dir_names_done(&dir->listed);
    memset(dir->verifier, 0, sizeof dir->verifier);
}

int dir_new(struct fs *fs, const struct nfs_fh *fh, const struct nfs_cred *cred, struct dir **ret) {
    struct dir *dir = mem_zalloc(sizeof *dir);
    if (!dir)
        return -ENOMEM;
    *dir = (struct dir){.fs = fs, .fh = *fh, .cred = *cred, .refs = 1, .plus = true, .silly_gone = fs->silly_gone};
    (void)pthread_mutex_init(&dir->lock, NULL);
    *ret = dir;
    return 0;
}

static void dir_unref(struct dir *dir) {
    {
        LOCK_SCOPE(&dir->lock);
        if (--dir->refs)
            return;
    }
    forget_pages(dir);
    free(dir->pages);
    (void)pthread_mutex_destroy(&dir->lock);
    free(dir);
}

void dir_put(struct dir *dir) {
    {
        LOCK_SCOPE(&dir->lock);
        dir->record = NULL;
        dir->closed = true;
    }
    dir_unref(dir);
}

// ---- fetching

static int add_page(struct dir *dir, struct nfs_call *call) {
    if (call->entry_count == 0)
        return 0;
    if (dir->page_count == dir->page_cap) {
        size_t cap = dir->page_cap ? dir->page_cap * 2 : 8;
        struct dir_page *pages = mem_realloc(dir->pages, cap, sizeof *pages);
        if (!pages)
            return -ENOMEM;
        dir->pages = pages;
        dir->page_cap = cap;
    }
    dir->pages[dir->page_count++] = (struct dir_page){.first = dir->total,
                                                      .count = call->entry_count,
                                                      .entries = take_ptr(call->entries),
                                                      .moment = dir->moment,
                                                      .write_moment = dir->write_moment,
                                                      .asked_at = dir->asked_at};
    dir->total += call->entry_count;
    return 0;
}

static bool is_enough_ahead(const struct dir *dir) {
    size_t ahead = 0;
    while (ahead < dir->page_count && dir->pages[dir->page_count - 1 - ahead].first > dir->given)
        ahead++;
    return ahead >= DIR_AHEAD && !(dir->waiter && dir->wanted >= dir->total);
}

static void page_answered(struct nfs_call *call);

static bool prepare_fetch(struct dir *dir) { // locked; true: the caller submits once unlocked
    if (dir->fetching || dir->eof || dir->error || dir->closed || is_enough_ahead(dir))
        return false;
    dir->fetching = true;
    dir->refs++;
    free(dir->call.entries);
    dir->call = (struct nfs_call){.op = NFS_READDIR, .fh = dir->fh, .cred = &dir->cred, .cookie = dir->cookie};
    dir->call.want_attr = dir->plus;
    dir->moment = nodes_moment(dir->fs->nodes);
    dir->write_moment = wb_moment(&dir->fs->wb);
    dir->asked_at = clock_monotonic(dir->fs->clock);
    dir->call.done = page_answered;
    dir->call.arg = dir;
    memcpy(dir->call.verifier, dir->verifier, sizeof dir->verifier);
    return true;
}

static const char *name_at(const struct dir_page *page, size_t i) {
    return page->entries ? page->entries[i].name : page->names + page->shorts[i].name;
}

// A change of the directory came between: the server's cookies ended with it (-EBADE), or nfs-ganesha took an entry that was
// just removed for the directory (-ENOENT; a removed directory is -ESTALE). The listing starts over there, not here:
// positions that were given out stay what they are, and names that are listed already are left out of what comes.
static int restart(struct dir *dir, int reason) {
    size_t bytes = 0;
    for (size_t p = 0; p < dir->page_count; p++)
        for (size_t i = 0; i < dir->pages[p].count; i++)
            bytes += strlen(name_at(&dir->pages[p], i)) + 1;
    if (dir->restarts++ == RESTARTS_MAX)
        return reason;
    dir->cookie = 0;
    memset(dir->verifier, 0, sizeof dir->verifier);
    if (dir->total == 0)
        return 0;
    int r = dir_names_start(&dir->listed, dir->total, bytes);
    if (r < 0)
        return r;
    for (size_t p = 0; p < dir->page_count; p++)
        for (size_t i = 0; i < dir->pages[p].count; i++)
            dir_names_add(&dir->listed, name_at(&dir->pages[p], i));
    dir_names_sort(&dir->listed);
    return 0;
}

static void leave_out_listed(const struct dir *dir, struct nfs_call *call) {
    size_t kept = 0;
    for (size_t i = 0; i < call->entry_count; i++)
        if (!dir_names_has(&dir->listed, call->entries[i].name))
            call->entries[kept++] = call->entries[i];
    call->entry_count = kept;
}

static void take_page(struct dir *dir, struct nfs_call *call) {
    if (dir->discard) { // asked for before a rewind
        dir->discard = false;
    } else if ((call->result == -EBADE && dir->cookie) || call->result == -ENOENT) {
        dir->error = restart(dir, call->result);
    } else if (call->result < 0) {
        dir->error = call->result;
    } else {
        dir->eof = call->eof || call->entry_count == 0;
        leave_out_listed(dir, call);
        dir->error = add_page(dir, call);
        dir->cookie = call->cookie;
        if (call->has_attr)
            dir->fileid = call->attr.fileid;
        memcpy(dir->verifier, call->verifier, sizeof dir->verifier);
    }
    free(call->entries);
    call->entries = NULL;
}

static struct op *satisfied_waiter(struct dir *dir) {
    bool there = dir->wanted < dir->total || dir->eof || dir->error;
    return there && dir->waiter ? take_ptr(dir->waiter) : NULL;
}

static void page_answered(struct nfs_call *call) {
    struct dir *dir = call->arg;
    struct op *waiter;
    bool more;
    {
        LOCK_SCOPE(&dir->lock);
        dir->fetching = false;
        take_page(dir, call);
        waiter = satisfied_waiter(dir);
        more = prepare_fetch(dir);
    }
    if (more)
        nfs_submit(dir->fs->share, &dir->call);
    if (waiter)
        op_resume(waiter, 0);
    dir_unref(dir);
}

// ---- from one daemon to the next

void dir_keep(struct dir *dir, struct dir_record *record) {
    LOCK_SCOPE(&dir->lock);
    dir->record = record;
}

void dir_resume(struct dir *dir, struct dir_record *record) {
    LOCK_SCOPE(&dir->lock);
    dir->record = record;
    dir->resumed = dir->started = true;
}

void dir_told(struct dir *dir, uint64_t index, uint64_t cookie) {
    LOCK_SCOPE(&dir->lock);
    if (!dir->record || !cookie)
        return;
    unsigned other = !dir->record->latest;
    struct dir_place *place = &dir->record->place[other];
    *place = (struct dir_place){.index = index, .cookie = cookie};
    memcpy(place->verifier, dir->verifier, sizeof place->verifier);
    dir->record->latest = other;
}

// Entries before the place are not known here. A reader that goes back to them gets the listing as it is then.
static void find_place(struct dir *dir, uint64_t index) {
    dir->resumed = false;
    for (size_t i = 0; i < ARRAY_SIZE(dir->record->place); i++) {
        const struct dir_place *place = &dir->record->place[i];
        if (!place->cookie || place->index != index)
            continue;
        dir->total = dir->given = index;
        dir->cookie = place->cookie;
        memcpy(dir->verifier, place->verifier, sizeof dir->verifier);
        return;
    }
}

static bool is_before_pages(const struct dir *dir, uint64_t index) {
    return index < dir->total && (dir->page_count == 0 || index < dir->pages[0].first);
}

// ---- reading

static void start_over(struct dir *dir) {
    dir->discard = dir->fetching;
    dir->resumed = false;
    dir->silly_gone = dir->fs->silly_gone;
    forget_pages(dir);
}

void dir_rewind(struct dir *dir) {
    LOCK_SCOPE(&dir->lock);
    start_over(dir);
}

bool dir_started(struct dir *dir) {
    LOCK_SCOPE(&dir->lock);
    bool started = dir->started;
    dir->started = true;
    return started;
}

bool dir_want(struct dir *dir, struct op *op, uint64_t index, bool plus, void (*step)(struct op *op)) {
    bool there, fetch;
    op_begin_wait(op, step);
    {
        LOCK_SCOPE(&dir->lock);
        dir->plus = plus;
        if (dir->resumed)
            find_place(dir, index);
        else if (is_before_pages(dir, index))
            start_over(dir);
        there = index < dir->total || dir->eof || dir->error || dir->waiter;
        if (!there) {
            dir->waiter = op;
            dir->wanted = index;
        }
        fetch = prepare_fetch(dir);
    }
    if (fetch)
        nfs_submit(dir->fs->share, &dir->call);
    return there;
}

bool dir_leave(struct op *op) {
    struct dir *dir = op->dir;
    LOCK_SCOPE(&dir->lock);
    if (dir->waiter != op)
        return false;
    dir->waiter = NULL;
    return true;
}

int dir_result(struct dir *dir, uint64_t index) {
    LOCK_SCOPE(&dir->lock);
    if (index < dir->total)
        return 0;
    return dir->error ? dir->error : dir->eof ? 0 : -EBUSY; // two readers at once on one handle: the kernel never does
}

static struct dir_page *page_of(struct dir *dir, uint64_t index) {
    size_t low = 0, high = dir->page_count;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        *(dir->pages[middle].first <= index ? &low : &high) = middle;
    }
    return low < dir->page_count && index - dir->pages[low].first < dir->pages[low].count ? &dir->pages[low] : NULL;
}

bool dir_entry(struct dir *dir, uint64_t index, struct nfs_dirent *ret) {
    LOCK_SCOPE(&dir->lock);
    const struct dir_page *page = page_of(dir, index);
    if (!page)
        return false;
    if (page->entries) {
        *ret = page->entries[index - page->first];
        return true;
    }
    const struct short_entry *entry = &page->shorts[index - page->first];
    *ret = (struct nfs_dirent){.fileid = entry->fileid, .name = page->names + entry->name};
    ret->attr.mode = entry->mode;
    return true;
}

static void shrink_page(struct dir_page *page) {
    size_t bytes = 0;
    for (size_t i = 0; i < page->count; i++)
        bytes += strlen(page->entries[i].name) + 1;
    page->shorts = mem_array(page->count, sizeof *page->shorts);
    page->names = mem_alloc(bytes);
    if (!page->shorts || !page->names || bytes > UINT32_MAX) { // it stays large
        cleanup_freep(&page->shorts);
        cleanup_freep(&page->names);
        page->shorts = NULL;
        page->names = NULL;
        return;
    }
    uint32_t at = 0;
    for (size_t i = 0; i < page->count; i++) {
        const struct nfs_dirent *entry = &page->entries[i];
        size_t len = strlen(entry->name) + 1;
        page->shorts[i] = (struct short_entry){.fileid = entry->fileid, .mode = entry->attr.mode, .name = at};
        memcpy(page->names + at, entry->name, len);
        at += (uint32_t)len;
    }
    free(page->entries);
    page->entries = NULL;
}

void dir_given(struct dir *dir, uint64_t index) {
    bool fetch;
    {
        LOCK_SCOPE(&dir->lock);
        if (index > dir->given)
            dir->given = index;
        while (dir->shrunk < dir->page_count &&
               dir->pages[dir->shrunk].first + dir->pages[dir->shrunk].count <= dir->given)
            shrink_page(&dir->pages[dir->shrunk++]);
        fetch = prepare_fetch(dir);
    }
    if (fetch)
        nfs_submit(dir->fs->share, &dir->call);
}

bool dir_is_current(struct dir *dir, uint64_t index, uint64_t *ret_moment, uint64_t *ret_write_moment) {
    int64_t now = clock_monotonic(dir->fs->clock);
    LOCK_SCOPE(&dir->lock);
    const struct dir_page *page = page_of(dir, index);
    if (!page || now - page->asked_at > NS_PER_S)
        return false;
    *ret_moment = page->moment;
    *ret_write_moment = page->write_moment;
    return !nodes_changed_since(dir->fs->nodes, &dir->fh, page->moment);
}

uint64_t dir_silly_gone(struct dir *dir) {
    LOCK_SCOPE(&dir->lock);
    return dir->silly_gone;
}

uint64_t dir_fileid(const struct dir *dir) {
    return dir->fileid;
}

const struct nfs_fh *dir_handle(const struct dir *dir) {
    return &dir->fh;
}
