// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/group.h"

#include <errno.h>
#include <poll.h>

#include "csi/node_group.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/kube/kube.h"

#define ASK_NS (60 * NS_PER_S)
#define PAUSE_FIRST_MS 250
#define PAUSE_LAST_MS 5000

int node_group_of_object(const struct json *object, const char *node, char **ret, struct err *err) {
    const char *wanted = kube_label(object, NODE_GROUP_LABEL), *told = kube_label(object, NODE_GROUP_TOPOLOGY_KEY);
    wanted = str_empty(wanted) ? NULL : wanted;
    if (!str_empty(told) && !str_eq(told, wanted)) {
        log_error(
            "the node's group was changed, but volumes still reach it as of its former group; empty the node of pods "
            "that use those, remove the label " NODE_GROUP_TOPOLOGY_KEY " and restart stowage-node",
            LOG_S("node", node), LOG_S("former_group", told), LOG_S("wanted_group", wanted ? wanted : ""));
        wanted = told;
    }
    if (wanted && node_group_check_name(wanted, err) < 0)
        return err_wrap(err, -EINVAL, "label " NODE_GROUP_LABEL " of node %.60s", node);
    *ret = mem_strdup(wanted);
    return wanted && !*ret ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int remedy(int r, const char *node, struct err *err) {
    if (r == -ENOENT)
        return err_set(err, r, "the cluster has no node '%.100s'; give --node-id the name of the Node object", node);
    if (r == -EACCES || r == -EPERM)
        return err_wrap(err, r,
                        "the group of this node cannot be read; allow the service account to get nodes, or "
                        "give --node-group");
    return err_wrap(err, r, "the group of this node cannot be read; give --node-group if there is no cluster to ask");
}

static int ask(const struct kube *kube, const char *node, struct json **ret, struct err *err) {
    int64_t deadline_ns = clock_monotonic(&clock_system) + ASK_NS;
    char *path cleanup_free = kube_path("/api/v1/nodes", node);
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    for (int pause_ms = PAUSE_FIRST_MS;; pause_ms = pause_ms * 2 < PAUSE_LAST_MS ? pause_ms * 2 : PAUSE_LAST_MS) {
        int r = kube_get(kube, path, ret, err);
        if (r == 0)
            return 0;
        if (!kube_may_pass(r) || clock_monotonic(&clock_system) + pause_ms * NS_PER_MS >= deadline_ns)
            return remedy(r, node, err);
        if (pause_ms == PAUSE_FIRST_MS)
            log_warning("asking the cluster for this node's group", LOG_S("node", node),
                        LOG_S("reason", err_text(err)));
        (void)poll(NULL, 0, pause_ms);
    }
}

int node_group_find(const struct node_config *config, char **ret, struct err *err) {
    struct kube *kube cleanup(kube_freep) = NULL;
    struct json *object cleanup(json_freep) = NULL;
    const char *node = node_config_node_id(config);
    *ret = NULL;
    if (!str_empty(config->node_group)) {
        *ret = mem_strdup(config->node_group);
        return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    if (!kube_in_cluster())
        return 0;
    int r = kube_new(NULL, &kube, err);
    if (r == 0)
        r = ask(kube, node, &object, err);
    return r == 0 ? node_group_of_object(object, node, ret, err) : r;
}
