// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/cache/index_area.h"

static void read_volume(struct index *index, uint16_t i, struct cache_figures *ret) {
    const struct index_volume *v = &index->area->volumes[i];
    *ret = (struct cache_figures){.mounted = index->own_volume[i] || index_byte_held(index->fd, LOCK_VOLUMES + i, 1),
                                  .limit = v->limit,
                                  .bytes = v->bytes,
                                  .objects = v->objects,
                                  .pinned_bytes = v->pinned_bytes,
                                  .opens = v->opens,
                                  .open_hits = v->open_hits,
                                  .cache_bytes = atomic_load(&v->cache_bytes),
                                  .origin_bytes = atomic_load(&v->origin_bytes),
                                  .evicted_bytes = v->evicted_bytes,
                                  .evicted_objects = v->evicted_objects,
                                  .errors = atomic_load(&v->errors)};
    (void)snprintf(ret->volume, sizeof ret->volume, "%.128s", v->tag);
}

// Without the lock: a reader may have only a read-only mapping, and figures may be a moment apart.
void index_read_figures(struct index *index, struct cache_disk *ret_disk, struct cache_figures *ret,
                        size_t *ret_count) {
    const struct index_area *area = index->area;
    ret_disk->cache_bytes = area->bytes;
    ret_disk->cache_objects = area->used;
    ret_disk->memory_bytes = area->memory;
    ret_disk->sick = index_sick(index, clock_monotonic(&clock_system));
    if (ret_disk->sick)
        (void)snprintf(ret_disk->reason, sizeof ret_disk->reason, "%.159s", area->reason);
    size_t count = 0;
    for (uint16_t i = 0; i < INDEX_VOLUMES; i++)
        if (area->volumes[i].used && (area->volumes[i].tag[0] || area->volumes[i].objects))
            read_volume(index, i, &ret[count++]);
    *ret_count = count;
}
