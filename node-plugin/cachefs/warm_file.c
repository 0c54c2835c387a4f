// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/warm_file.h"

#include <errno.h>
#include <stdio.h>

#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/inode.h"

#define TRIES_MAX 8u    // of data that came and was not there when it was looked at
#define VERSIONS_MAX 2u // of a file that changes while it is fetched
#define FRESH_NS NS_PER_S

static void let_go(struct warm_file *file) {
    if (file->wait.fetch)
        fetch_put(file->fs, take_ptr(file->wait.fetch));
    file->object = cached_put(file->object);
    if (file->inode)
        inode_put(take_ptr(file->inode));
    if (file->id) {
        nodes_forget(file->fs->nodes, file->id, 1);
        inode_forgotten(file->fs, file->id);
    }
    file->id = 0;
}

static void end(struct warm_file *file, int result) {
    let_go(file);
    file->result = result;
    file->state = WARM_FILE_ENDED;
}

// ---- fetching

static void fetch_came(struct fetch_wait *wait) {
    struct warm_file *file = (struct warm_file *)(void *)((char *)wait - offsetof(struct warm_file, wait));
    bell_ring(file->bell, &file->came);
}

static void ask_attr(struct warm_file *file);

// The data came and is not in the cache: it was another version's, or the disk did not take it.
static void not_stored(struct warm_file *file) {
    if (!cached_is_dropped(file->object)) {
        file->state = WARM_FILE_PAUSED; // read for somebody else when there was no memory to store it, as a rule
        if (file->tries++ == TRIES_MAX)
            end(file, -EIO);
    } else if (file->versions++ < VERSIONS_MAX) {
        let_go(file);
        ask_attr(file);
    } else {
        end(file, -EAGAIN);
    }
}

// True: there is more to do for it now.
static bool take_fetch(struct warm_file *file) {
    struct fetch *f = take_ptr(file->wait.fetch);
    int result = fetch_result(f);
    bool stored = fetch_is_stored(f);
    uint64_t reached = fetch_offset(f) + fetch_len(f);
    fetch_put(file->fs, f);
    if (result < 0) {
        end(file, result);
    } else if (!stored) {
        not_stored(file);
    } else {
        file->at = reached;
        file->tries = 0;
        return true;
    }
    return false;
}

// 1: what holds byte `at` has come, 0: it will; or why it will not.
static int fetch_at(struct warm_file *file) {
    uint64_t size = cached_size(file->object), left = size - file->at;
    struct fetch_range range = {.inode = file->inode,
                                .object = file->object,
                                .cred = file->cred,
                                .from = file->at,
                                .to = file->at + (left < WARM_WINDOW ? left : WARM_WINDOW),
                                .priority = FETCH_WARM};
    file->came = false;
    file->wait = (struct fetch_wait){.run = fetch_came, .stored = true};
    int asked = fetch_request(&range);
    int joined = fetch_join(file->inode, file->at, &file->wait);
    return joined < 0 && asked < 0 ? asked : joined;
}

static void go_on(struct warm_file *file) {
    for (;;) {
        file->at = cached_next_missing(file->object, file->at);
        if (file->at >= cached_size(file->object)) {
            end(file, 0);
            return;
        }
        int r = fetch_at(file);
        if (r == 0 || r == -ENOBUFS) {
            file->state = r == 0 ? WARM_FILE_FETCHING : WARM_FILE_PAUSED;
            return;
        }
        if (r == -ENOENT && file->tries++ < TRIES_MAX) // it came between the two
            continue;
        if (r == -ENOSPC && cached_is_dropped(file->object)) {
            not_stored(file);
            return;
        }
        if (r != 1) {
            end(file, r == -ENOENT ? -EIO : r);
            return;
        }
        if (!take_fetch(file))
            return;
    }
}

// ---- which version

static void open_copy(struct warm_file *file) {
    struct fs *fs = file->fs;
    if (!S_ISREG(file->attr.mode) || file->attr.size == 0) {
        end(file, 0);
        return;
    }
    int r = nodes_look_up(fs->nodes, &file->fh, &file->id);
    if (r < 0) {
        file->id = 0;
        end(file, r);
        return;
    }
    file->inode = inode_get(fs, file->id, &file->fh);
    r = file->inode ? copy_take(file->inode, &file->attr, &file->object) : -ENOMEM;
    if (r < 0) {
        end(file, r);
        return;
    }
    file->at = 0;
    file->tries = 0;
    go_on(file);
}

static void attr_answered(struct nfs_call *call) {
    struct warm_file *file = call->arg;
    bell_ring(file->bell, &file->answered);
}

static void ask_attr(struct warm_file *file) {
    file->state = WARM_FILE_ASKING;
    file->answered = false;
    file->call =
        (struct nfs_call){.op = NFS_GETATTR, .fh = file->fh, .cred = file->cred, .done = attr_answered, .arg = file};
    nfs_submit(file->fs->share, &file->call);
}

static bool is_complete(const struct warm_file *file) {
    struct cached *object = NULL;
    bool complete = copy_peek(file->fs, &file->fh, &file->attr, &object) == 0 && cached_complete(object);
    (void)cached_put(object);
    return complete;
}

void warm_file_start(struct warm_file *file, const struct walk_file *found) {
    *file = (struct warm_file){
        .fs = file->fs, .bell = file->bell, .cred = file->cred, .fh = found->fh, .attr = found->attr};
    (void)snprintf(file->name, sizeof file->name, "%s", found->name);
    if (file->attr.size == 0 || is_complete(file))
        end(file, 0);
    else if (clock_monotonic(file->fs->clock) - found->asked_ns < FRESH_NS)
        open_copy(file);
    else
        ask_attr(file);
}

// ---- after the bell

static bool take_flag(struct warm_file *file, bool *flag) {
    LOCK_SCOPE(file->bell->lock);
    bool was = *flag;
    *flag = false;
    return was;
}

void warm_file_step(struct warm_file *file) {
    if (file->state == WARM_FILE_ASKING && take_flag(file, &file->answered)) {
        file->attr = file->call.attr;
        if (file->call.result < 0)
            end(file, file->call.result);
        else
            open_copy(file);
    } else if (file->state == WARM_FILE_FETCHING && take_flag(file, &file->came)) {
        if (take_fetch(file))
            go_on(file);
    } else if (file->state == WARM_FILE_PAUSED) {
        go_on(file);
    }
}

void warm_file_stop(struct warm_file *file) {
    if (file->state == WARM_FILE_ASKING)
        nfs_cancel(file->fs->share, &file->call);
    if (file->state == WARM_FILE_FETCHING && !fetch_unwait(file->fs, &file->wait)) {
        LOCK_SCOPE(file->bell->lock);
        while (!file->came) // it was taken out of its list, so it comes at once
            (void)pthread_cond_wait(&file->bell->cond, file->bell->lock);
    }
    let_go(file);
    file->state = WARM_FILE_FREE;
}
