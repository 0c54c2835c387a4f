// SPDX-License-Identifier: Apache-2.0
// The registry: which shares are known, which are open, and what is remembered over a restart.
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "controller/layout.h"
#include "controller/origins.h"
#include "controller/share.h"
#include "controller/shares_file.h"
#include "controller/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/strmap.h"

struct known { // one share
    struct share_location location;
    struct share *open; // NULL: not yet, or stale
    bool opening;       // a thread is at it
    bool kept;          // named by a flag, or was open once; others are forgotten when they cannot be opened
};

struct shares {
    struct shares_options options;
    pthread_mutex_t lock; // protects all below
    pthread_cond_t opened;
    struct strmap known; // text of the location → struct known
};

static void known_free(struct known *known) {
    if (!known)
        return;
    known->open = share_free(known->open);
    share_location_done(&known->location);
    free(known);
}

// With the lock held.
static int find_or_add(struct shares *shares, const char *text, const struct share_location *location,
                       struct known **ret, struct err *err) {
    *ret = strmap_get(&shares->known, text);
    if (*ret)
        return 0;
    struct known *known = mem_zalloc(sizeof *known);
    if (!known || share_location_copy(location, &known->location) < 0 || strmap_put(&shares->known, text, known) < 0) {
        known_free(known);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = known;
    return 0;
}

static int add_text(void *arg, const char *text, struct err *err) {
    struct shares *shares = arg;
    struct share_location location cleanup(share_location_done) = {0};
    int r = share_location_parse(text, &location, err);
    return r < 0 ? r : shares_add(shares, &location, err);
}

int shares_new(const struct shares_options *options, struct shares **ret, struct err *err) {
    struct shares *shares cleanup(shares_freep) = mem_zalloc(sizeof *shares);
    if (!shares)
        return err_set(err, -ENOMEM, "out of memory");
    shares->options = *options;
    if (!shares->options.clock)
        shares->options.clock = &clock_system;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&shares->lock, NULL);
    (void)pthread_cond_init(&shares->opened, &attr);
    (void)pthread_condattr_destroy(&attr);
    int r = options->state_dir ? shares_file_read(options->state_dir, add_text, shares, err) : 0;
    if (r < 0)
        return r;
    *ret = take_ptr(shares);
    return 0;
}

struct shares *shares_free(struct shares *shares) {
    if (!shares)
        return NULL;
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&shares->known, &i));)
        known_free(slot->value);
    strmap_done(&shares->known);
    (void)pthread_cond_destroy(&shares->opened);
    (void)pthread_mutex_destroy(&shares->lock);
    free(shares);
    return NULL;
}

int shares_add(struct shares *shares, const struct share_location *location, struct err *err) {
    char text[CSI_ID_MAX + 1];
    int r = share_location_format(location, text, err);
    if (r < 0)
        return r;
    struct known *known;
    LOCK_SCOPE(&shares->lock);
    r = find_or_add(shares, text, location, &known, err);
    if (r == 0)
        known->kept = true;
    return r;
}

static int connect_share(const struct shares_options *options, const struct share_location *location,
                         int64_t deadline_ns, struct nfs_share **ret, struct err *err) {
    if (location->origin)
        return origins_open(options->origins, location->origin, location->path, &options->cred, deadline_ns, ret, err);
    struct nfs_options nfs = {
        .server = location->server,
        .path = location->path,
        .version = location->version,
        .nfs_port = location->nfs_port,
        .mount_port = location->mount_port,
        .connections = options->connections,
        .cred = options->cred,
        .deadline_ns = deadline_ns,
    };
    return options->open ? options->open(options->open_arg, &nfs, ret, err) : nfs_share_open(&nfs, ret, err);
}

// Connects and opens the layout; no lock is held.
static int open_share(struct shares *shares, const struct share_location *location, const char *text, bool create,
                      int64_t deadline_ns, struct share **ret, struct err *err) {
    struct share *share cleanup(share_freep) = mem_zalloc(sizeof *share);
    if (!share)
        return err_set(err, -ENOMEM, "out of memory");
    atomic_init(&share->references, 1);
    share->clock = shares->options.clock;
    share->store = store_new();
    if (!share->store || share_location_copy(location, &share->location) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    (void)memcpy(share->text, text, strlen(text) + 1);
    int r = connect_share(&shares->options, location, deadline_ns, &share->nfs, err);
    if (r == -ETIMEDOUT)
        r = err_set(err, -EHOSTUNREACH, "NFS server %s does not answer; check the server and the network", text);
    if (r == -ENOENT) // the export itself, which may be on its way: not to be taken for an object that is not there
        err->code = r = -EHOSTUNREACH;
    if (r < 0)
        return r;
    share->root = nfs_share_info(share->nfs)->root;
    r = layout_open(share, create, deadline_ns, err);
    if (r < 0)
        return r;
    *ret = take_ptr(share);
    return 0;
}

static struct timespec to_timespec(int64_t ns) {
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

// 0: *ret is an open share, or NULL and this thread is the one to open it.
static int claim(struct shares *shares, const char *text, const struct share_location *location, int64_t deadline_ns,
                 struct share **ret, struct err *err) {
    struct known *known;
    struct timespec until = to_timespec(deadline_ns);
    LOCK_SCOPE(&shares->lock);
    int r = find_or_add(shares, text, location, &known, err);
    while (r == 0 && known->opening) {
        if (pthread_cond_timedwait(&shares->opened, &shares->lock, &until) != 0)
            return err_set(err, -EHOSTUNREACH, "NFS server %s does not answer; check the server and the network", text);
        r = find_or_add(shares, text, location, &known, err); // it may have been forgotten meanwhile
    }
    if (r < 0)
        return r;
    if (known->open && atomic_load(&known->open->stale))
        known->open = share_free(known->open);
    *ret = known->open ? share_ref(known->open) : NULL;
    known->opening = !known->open;
    return 0;
}

// The opener's end: keeps the share, or forgets one that nobody vouches for, and tells those who wait.
static void settle(struct shares *shares, const char *text, struct share *share) {
    LOCK_SCOPE(&shares->lock);
    struct known *known = strmap_get(&shares->known, text);
    known->opening = false;
    known->kept |= share != NULL;
    known->open = share ? share_ref(share) : NULL;
    if (!known->kept)
        known_free(strmap_remove(&shares->known, text));
    (void)pthread_cond_broadcast(&shares->opened);
}

static void texts_done(struct field_list *list) { // the texts belong to the map
    free(list->items);
}

static int kept_texts(struct shares *shares, struct field_list *ret) {
    ret->items = mem_array(shares->known.len + 1, sizeof *ret->items);
    const struct strmap_slot *slot;
    for (size_t i = 0; ret->items && (slot = strmap_next(&shares->known, &i));)
        if (((const struct known *)slot->value)->kept)
            ret->items[ret->count++] = slot->key;
    return ret->items ? 0 : -ENOMEM;
}

static void save(struct shares *shares) {
    if (!shares->options.state_dir)
        return;
    struct err err = ERR_NONE;
    LOCK_SCOPE(&shares->lock);
    struct field_list texts cleanup(texts_done) = {0};
    if (kept_texts(shares, &texts) < 0 || shares_file_write(shares->options.state_dir, &texts, &err) < 0)
        log_error("shares not remembered", LOG_S("error", err_text(&err)));
}

int shares_get(struct shares *shares, const struct share_location *location, bool create, int64_t deadline_ns,
               struct share **ret, struct err *err) {
    char text[CSI_ID_MAX + 1];
    struct share *share cleanup(share_freep) = NULL;
    struct err local = ERR_NONE;
    err = err ? err : &local;
    int r = share_location_format(location, text, err);
    if (r == 0)
        r = claim(shares, text, location, deadline_ns, &share, err);
    if (r == 0 && !share) {
        r = open_share(shares, location, text, create, deadline_ns, &share, err);
        settle(shares, text, r == 0 ? share : NULL);
        if (r == 0) {
            save(shares);
            log_info("share opened", LOG_S("share", text));
            if (shares->options.opened)
                shares->options.opened(shares->options.opened_arg, share);
        }
    }
    if (r == 0)
        *ret = take_ptr(share);
    return r;
}

static int compare_locations(const void *a, const void *b) {
    char text_a[CSI_ID_MAX + 1] = "", text_b[CSI_ID_MAX + 1] = "";
    bool bad = share_location_format(a, text_a, NULL) < 0 || share_location_format(b, text_b, NULL) < 0;
    return bad ? 0 : strcmp(text_a, text_b);
}

int shares_locations(struct shares *shares, struct share_location **ret, size_t *ret_count) {
    LOCK_SCOPE(&shares->lock);
    struct share_location *list = mem_array(shares->known.len + 1, sizeof *list);
    size_t count = 0;
    const struct strmap_slot *slot;
    for (size_t i = 0; list && (slot = strmap_next(&shares->known, &i));) {
        const struct known *known = slot->value;
        if (!known->kept)
            continue;
        if (share_location_copy(&known->location, &list[count]) < 0) {
            shares_locations_done(list, count);
            return -ENOMEM;
        }
        count++;
    }
    if (!list)
        return -ENOMEM;
    qsort(list, count, sizeof *list, compare_locations);
    *ret = list;
    *ret_count = count;
    return 0;
}

void shares_locations_done(struct share_location *locations, size_t count) {
    for (size_t i = 0; i < count; i++)
        share_location_done(&locations[i]);
    free(locations);
}

static size_t count_open(struct shares *shares, enum shared_kind kind, size_t *ret_records) {
    LOCK_SCOPE(&shares->lock);
    const struct strmap_slot *slot;
    size_t open = 0;
    *ret_records = 0;
    for (size_t i = 0; (slot = strmap_next(&shares->known, &i));) {
        const struct known *known = slot->value;
        if (!known->open)
            continue;
        open++;
        *ret_records += store_count(known->open, kind);
    }
    return open;
}

size_t shares_count_records(struct shares *shares, enum shared_kind kind) {
    size_t records;
    (void)count_open(shares, kind, &records);
    return records;
}

size_t shares_count_open(struct shares *shares) {
    size_t records;
    return count_open(shares, SHARED_VOLUME, &records);
}
