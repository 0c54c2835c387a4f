// SPDX-License-Identifier: Apache-2.0
// Between CSI messages and the plain structs of csi/volume.h. What is made lives in the call's arena.
#pragma once

#include "csi/arguments.h"
#include "csi/table.h"

// -EINVAL when the access type or mode is missing or unknown. `field` names it in the message.
int capability_read(const Csi__V1__VolumeCapability *message, const char *field, struct volume_capability *ret,
                    struct err *err) must_check;
int capabilities_read(const struct csi_call *call, Csi__V1__VolumeCapability *const *messages, size_t count,
                      const struct volume_capability **ret, struct err *err) must_check;
// Asks the class; -EINVAL with its reason when it does not serve one of them.
int capabilities_check(const struct csi_call *call, const struct volume_capability *capabilities, size_t count,
                       const struct string_map *parameters, struct err *err) must_check;

// Map fields: every map<string, string> has an entry type of its own, all of one shape. Of equal keys the last counts.
int map_read(const struct csi_call *call, const void *entries, size_t count, struct string_map *ret,
             struct err *err) must_check;
int map_write(const struct csi_call *call, const ProtobufCMessageDescriptor *entry, const struct string_pair *pairs,
              size_t count, void *ret_entries, size_t *ret_count, struct err *err) must_check;

// Topologies: of their segments only the class's own key counts here.
// The value a topology gives; NULL: it says nothing about the key.
const char *topology_read(const struct csi_call *call, const Csi__V1__Topology *topology);
// Where a volume is wanted: the preferred first, then what else is requisite. -EINVAL: a topology without the key, unless
// nodes may be without it (volume_class.topology_common).
int topologies_read(const struct csi_call *call, const Csi__V1__TopologyRequirement *requirement,
                    struct volume_create_request *ret, struct err *err) must_check;
int topology_write(const struct csi_call *call, const char *value, Csi__V1__Topology **ret, struct err *err) must_check;
// Of a node: `value` NULL, it has none. *ret stays as it is where nothing is to be said.
int topology_write_node(const struct csi_call *call, const char *value, Csi__V1__Topology **ret,
                        struct err *err) must_check;

// A new message with defaults, of the arena.
void *message_new(const struct csi_call *call, const ProtobufCMessageDescriptor *type, struct err *err) must_check;
int text_write(const struct csi_call *call, const char *text, char **ret, struct err *err) must_check; // NULL: ""
int time_write(const struct csi_call *call, int64_t wall_ns, Google__Protobuf__Timestamp **ret,
               struct err *err) must_check;
int volume_write(const struct csi_call *call, const struct volume_info *info, Csi__V1__Volume **ret,
                 struct err *err) must_check;
int snapshot_write(const struct csi_call *call, const struct snapshot_info *info, Csi__V1__Snapshot **ret,
                   struct err *err) must_check;
int nodes_write(const struct csi_call *call, const struct volume_info *info, char ***ret, size_t *ret_count,
                struct err *err) must_check;
int condition_write(const struct csi_call *call, bool abnormal, const char *text, Csi__V1__VolumeCondition **ret,
                    struct err *err) must_check;

// The volume with this id; -ENOENT also for an id that is none.
int volume_find(const struct csi_call *call, const char *id, struct volume_info *ret, struct err *err) must_check;

// A growing array of messages: adds one at the end.
struct message_list {
    void **items;
    size_t count, space;
};
int list_add(const struct csi_call *call, struct message_list *list, void *message, struct err *err) must_check;
