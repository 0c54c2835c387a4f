// SPDX-License-Identifier: Apache-2.0
// Which object is given up for others' need.
//
// Training reads a set in a new random order every epoch: each object once, and the one that was just read is the last that will be read
// again. LRU then keeps what is needed last, and hits nothing when the set is larger than the cache. So what is here stays, and
// what does not fit is read from the origin: hits at cache/set, for random and for cyclic orders. An object is *due* when
//
//   - nobody has its volume mounted, or no file of it was opened for long while others were; or
//   - it was not opened for more opens than the workload lets pass between two opens of one object. That is learnt from hits, and from
//     ghosts: objects that were asked for again after they were evicted or not stored. Never less than 4 times the resident objects,
//     because a random order may let nearly two epochs pass, and half the set is what a cache should manage at least; or
//   - the volume's resident objects earn nothing: less than 1 % hits, window after window. When the misses are of objects never
//     seen before (the job went on to other data) one window is enough. When they were seen, the order may be cyclic, and the hits come
//     later in the epoch: then it takes as many opens as lay between two openings of the ghosts, at most 4 times the resident objects.
//
// A window is an eighth of the resident objects, at least 64 opens. Ages are counted in opens of the volume.
#include <string.h>

#include "lib/cache/index_area.h"

#define SAMPLES 16u  // of which the oldest is taken
#define LOOKS 64u    // at objects of the volume, to find so many that are due
#define PROBES 4096u // of slots, to find those of the volume
#define WINDOW_LEAST 64u
#define GHOST_REACH 16u // how far back ghosts are looked for, in resident objects

static uint32_t least(uint64_t a, uint64_t b) {
    uint64_t m = a < b ? a : b;
    return m > UINT32_MAX ? UINT32_MAX : (uint32_t)m;
}

// ---- ghosts

// Of many objects only those with these hash bits zero are followed, so that the table reaches far enough.
static uint32_t sample_mask(const struct index_volume *volume) {
    uint32_t mask = 0;
    while (volume->objects * GHOST_REACH / ((uint64_t)mask + 1) > GHOSTS / 2)
        mask = mask * 2 + 1;
    return mask;
}

static uint32_t mix(uint32_t print, uint16_t volume) {
    uint32_t h = (print ^ volume * 0x9e3779b1u) * 0x85ebca6bu;
    h ^= h >> 15;
    return h ? h : 1;
}

static struct index_ghost *ghost_at(struct index *index, uint32_t mixed) {
    return &index->area->ghosts[mixed % GHOSTS];
}

void index_note_ghost(struct index *index, uint16_t volume, uint32_t print, uint32_t tick) {
    uint32_t mixed = mix(print, volume);
    if ((mixed >> 16 & sample_mask(&index->area->volumes[volume])) == 0)
        *ghost_at(index, mixed) = (struct index_ghost){.print = mixed, .tick = tick};
}

void index_missed(struct index *index, uint16_t volume, const struct cache_key *key) {
    INDEX_SCOPE(index);
    struct index_volume *v = &index->area->volumes[volume];
    uint32_t print;
    memcpy(&print, key->bytes + 4, sizeof print);
    uint32_t mixed = mix(print, volume);
    if ((mixed >> 16 & sample_mask(v)) != 0)
        return;
    struct index_ghost *ghost = ghost_at(index, mixed);
    uint32_t age = v->tick - ghost->tick;
    v->window_sampled++;
    if (ghost->print == mixed && age <= GHOST_REACH * v->objects) {
        v->window_seen++;
        if (age > v->window_reuse)
            v->window_reuse = age;
    }
    *ghost = (struct index_ghost){.print = mixed, .tick = v->tick};
}

// ---- opens

static uint32_t window_of(const struct index_volume *v) {
    return v->objects / 8 > WINDOW_LEAST ? (uint32_t)(v->objects / 8) : WINDOW_LEAST;
}

static void end_window(struct index_volume *v) {
    v->reuse -= v->reuse / 32; // a workload that changed is forgotten after a few times the resident objects
    if (v->window_reuse > v->reuse)
        v->reuse = v->window_reuse;
    if (v->window_hits * 100u >= v->window_opens) {
        v->barren = 0;
    } else {
        bool seen = v->window_seen * 2 > v->window_sampled;
        uint64_t reach = (uint64_t)v->window_reuse + v->window_reuse / 4;
        if (seen != (v->barren_limit > 0)) // the first pass over new data says nothing about the second
            v->barren = 0;
        v->barren_limit = seen ? least(1 + reach, 4 * v->objects) : 0;
        v->barren = least((uint64_t)v->barren + v->window_opens, UINT32_MAX);
    }
    v->window_opens = v->window_hits = v->window_sampled = v->window_seen = v->window_reuse = 0;
}

void index_count_open(struct index *index, uint16_t volume, const struct cache_key *key, bool hit) {
    INDEX_SCOPE(index);
    struct index_area *area = index->area;
    struct index_volume *v = &area->volumes[volume];
    v->opens++;
    v->open_hits += hit;
    v->awake = ++area->tick;
    v->tick++;
    v->window_opens++;
    v->window_hits += hit;
    uint32_t at = key ? index_slot_of(index, key) : 0;
    if (at) {
        struct index_slot *slot = index_slot(index, at);
        struct index_volume *owner = &area->volumes[slot->volume]; // another one when two share an origin
        uint32_t age = owner->tick - slot->last;
        if (hit && slot->opens && age > owner->window_reuse)
            owner->window_reuse = age;
        slot->last = owner->tick;
        slot->opens++;
        if (owner != v) {
            owner->awake = area->tick;
            owner->barren = 0;
        }
    }
    if (v->window_opens >= window_of(v))
        end_window(v);
}

// ---- victims

static bool volume_idle(const struct index *index, uint16_t volume) {
    const struct index_area *area = index->area;
    return !index->mounted[volume] || area->tick - area->volumes[volume].awake > 4 * (uint64_t)area->used + 1024;
}

static bool volume_barren(const struct index_volume *v) {
    bool earns_again = v->window_hits * 100u >= window_of(v); // no need to wait for its end
    return v->barren > v->barren_limit && !earns_again;
}

static bool is_due(const struct index *index, const struct index_slot *slot) {
    const struct index_volume *v = &index->area->volumes[slot->volume];
    if (volume_idle(index, slot->volume) || volume_barren(v))
        return true;
    uint64_t learnt = (uint64_t)v->reuse + v->reuse / 4;
    uint64_t patience = 4 * v->objects > learnt ? 4 * v->objects : learnt;
    return (v->tick - slot->last) > (patience > WINDOW_LEAST ? patience : WINDOW_LEAST);
}

bool index_pick(struct index *index, int volume, enum index_victims victims, struct cache_key *ret) {
    INDEX_SCOPE_OR(index, false);
    const struct index_area *area = index->area;
    index_look_mounted(index);
    uint64_t best_rank = 0;
    uint32_t best = 0, samples = 0, looks = 0;
    for (uint32_t probe = 0; area->used && probe < PROBES && looks < LOOKS && samples < SAMPLES; probe++) {
        uint32_t at = 1 + (uint32_t)(index_random(index) % area->used);
        const struct index_slot *slot = index_slot(index, at);
        if (slot->volume >= INDEX_VOLUMES || (volume >= 0 && slot->volume != volume))
            continue;
        looks++;
        if (slot->flags & SLOT_PINNED || (victims == INDEX_VICTIMS_DUE && !is_due(index, slot)))
            continue;
        samples++;
        uint64_t age = area->volumes[slot->volume].tick - slot->last;
        uint64_t rank = 1 + age + (volume_idle(index, slot->volume) ? UINT64_C(1) << 40 : 0);
        if (rank > best_rank) {
            best_rank = rank;
            best = at;
        }
    }
    if (best)
        *ret = index_slot(index, best)->key;
    return best != 0;
}

void index_spare(struct index *index, const struct cache_key *key) {
    INDEX_SCOPE(index);
    uint32_t at = index_slot_of(index, key);
    if (at)
        index_slot(index, at)->last = index->area->volumes[index_slot(index, at)->volume].tick;
}
