// SPDX-License-Identifier: Apache-2.0
// Which volume a path belongs to, and who works on it now.
#include <errno.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/node.h"

static int claim(struct node *node, const char *path, const char *id, struct path_claim *ret, struct err *err) {
    char *copy cleanup_free = mem_strdup(path);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    LOCK_SCOPE(&node->lock);
    const char *other = strmap_get(&node->claims, path);
    if (other)
        return err_set(err, -EAGAIN,
                       "volume '%.60s' asks for a path that a call about volume '%.60s' works on; try again: %s", id,
                       other, path);
    if (strmap_put(&node->claims, path, (void *)(uintptr_t)id) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = (struct path_claim){node, take_ptr(copy)};
    return 0;
}

int node_claim(struct node *node, const char *path, const char *id, struct mount_table **table, struct path_claim *ret,
               struct err *err) {
    int r = claim(node, path, id, ret, err);
    if (r < 0)
        return r;
    *table = mount_table_free(*table);
    return node_table(node, table, err);
}

void path_claim_done(struct path_claim *claim) {
    if (!claim->path)
        return;
    LOCK_SCOPE(&claim->node->lock);
    (void)strmap_remove(&claim->node->claims, claim->path);
    free(take_ptr(claim->path));
}

bool node_path_taken(struct node *node, const char *path, const char *id, char ret[CSI_ID_MAX + 1]) {
    LOCK_SCOPE(&node->lock);
    const struct strmap_slot *slot = NULL;
    for (size_t i = 0; (slot = strmap_next(&node->volumes, &i));) {
        const struct staged *staged = slot->value;
        if (str_eq(staged->id, id))
            continue;
        if (str_eq(staged->staging_path, path) || staged_find_target(staged, path)) {
            (void)snprintf(ret, CSI_ID_MAX + 1, "%s", staged->id);
            return true;
        }
    }
    return false;
}

int node_refuse_taken(struct node *node, const char *path, const char *id, struct err *err) {
    char other[CSI_ID_MAX + 1];
    if (!node_path_taken(node, path, id, other))
        return 0;
    return err_set(err, -EEXIST, "volume '%.60s' cannot have a path of volume '%.60s'; take that one off first: %s", id,
                   other, path);
}
