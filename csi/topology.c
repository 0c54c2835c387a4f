// SPDX-License-Identifier: Apache-2.0
// Topologies of the CSI messages: one key a class, so a topology is that key's value.
#include <errno.h>

#include "csi/messages.h"
#include "lib/base/str.h"

const char *topology_read(const struct csi_call *call, const Csi__V1__Topology *topology) {
    for (size_t i = 0; topology && call->class->topology_key && i < topology->n_segments; i++)
        if (str_eq(topology->segments[i]->key, call->class->topology_key))
            return topology->segments[i]->value;
    return NULL;
}

static int add_values(const struct csi_call *call, Csi__V1__Topology *const *topologies, size_t count,
                      const char **values, size_t *ret_count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        const char *value = topology_read(call, topologies[i]);
        bool known = false;
        if (!value)
            return err_set(err, -EINVAL, "field 'accessibility_requirements' has a topology without the key '%s'",
                           call->class->topology_key);
        for (size_t k = 0; k < *ret_count && !known; k++)
            known = str_eq(values[k], value);
        if (!known)
            values[(*ret_count)++] = value;
    }
    return 0;
}

#define TOPOLOGY_MAX 16384 // entries; a cluster of 5,000 nodes, each once as requisite and once as preferred, has room

// Volumes that are bound to one value, of nodes that may have none: what is preferred may be left (CSI specification,
// TopologyRequirement), and a topology without the key takes in every node, those with the wanted value as well.
static int add_required(const struct csi_call *call, const Csi__V1__TopologyRequirement *requirement,
                        const char **values, size_t *ret_count, struct err *err) {
    for (size_t i = 0; i < requirement->n_requisite; i++)
        if (!topology_read(call, requirement->requisite[i]))
            return 0;
    return add_values(call, requirement->requisite, requirement->n_requisite, values, ret_count, err);
}

int topologies_read(const struct csi_call *call, const Csi__V1__TopologyRequirement *requirement,
                    struct volume_create_request *ret, struct err *err) {
    if (!requirement || !call->class->topology_key)
        return 0; // what the class does not know does not bind it
    size_t most = requirement->n_preferred + requirement->n_requisite;
    if (most > TOPOLOGY_MAX)
        return err_set(err, -EINVAL, "field 'accessibility_requirements' has %zu topologies; at most %d are taken",
                       most, TOPOLOGY_MAX);
    const char **values = arena_array(call->arena, most, sizeof *values);
    if (!values)
        return err_set(err, -ENOMEM, "out of memory");
    ret->topologies = values;
    if (call->class->topology_common)
        return add_required(call, requirement, values, &ret->topology_count, err);
    int r = add_values(call, requirement->preferred, requirement->n_preferred, values, &ret->topology_count, err);
    if (r == 0)
        r = add_values(call, requirement->requisite, requirement->n_requisite, values, &ret->topology_count, err);
    return r;
}

static int write_segments(const struct csi_call *call, const struct string_pair *segments, size_t count,
                          Csi__V1__Topology **ret, struct err *err) {
    Csi__V1__Topology *topology = message_new(call, &csi__v1__topology__descriptor, err);
    if (!topology)
        return -ENOMEM;
    *ret = topology;
    return map_write(call, &csi__v1__topology__segments_entry__descriptor, segments, count, &topology->segments,
                     &topology->n_segments, err);
}

int topology_write(const struct csi_call *call, const char *value, Csi__V1__Topology **ret, struct err *err) {
    const struct string_pair segment = {call->class->topology_key, value};
    return write_segments(call, &segment, 1, ret, err);
}

int topology_write_node(const struct csi_call *call, const char *value, Csi__V1__Topology **ret, struct err *err) {
    struct string_pair segments[2];
    size_t count = 0;
    if (call->class->topology_common)
        segments[count++] = (struct string_pair){call->class->topology_common, "true"};
    if (value && call->class->topology_key)
        segments[count++] = (struct string_pair){call->class->topology_key, value};
    return count ? write_segments(call, segments, count, ret, err) : 0;
}
