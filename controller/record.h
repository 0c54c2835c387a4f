// SPDX-License-Identifier: Apache-2.0
// What is remembered of one object (volume, snapshot, group) and how it is written: one JSON file each.
//
// Why:     the share itself is the only place that every controller, today's and tomorrow's, can read.
// Owns:    all texts and arrays are allocated and belong to the record.
// Fails:   decoding: -EBADMSG for damage (never overwritten), -EPROTO for a record of a newer version.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "csi/shared_volume.h"
#include "csi/volume.h"
#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"

#define RECORD_VERSION                                                                                                 \
    2 // that of node-group volumes, so that a controller that knows none leaves them alone; others have 1
#define RECORD_SIZE_MAX (256 * 1024) // bytes of a file; 4,000 published nodes fit

enum record_state {
    RECORD_READY,
    RECORD_COPYING,  // its data is on the way (copy.h): not shown as ready, restarted by the next controller
    RECORD_DELETING, // the delete began: only a further delete is allowed
};

struct record_node { // a node the volume is published to
    char *node;
    bool read_only;
    int mode; // enum access_mode
};

struct record {
    enum shared_kind kind;
    char key[HASH_ID_LEN + 1]; // the file's name; hash_id(name)
    char *name;                // as the CO gave it
    enum record_state state;
    int64_t created_ns; // since 1970
    int64_t bytes;      // volume: capacity; snapshot: size restored

    // volumes
    char *location;             // of the share as in its id: listed under this one only; NULL: under any
    char *sub_dir;              // resolved; NULL for other kinds
    int on_delete, mount_mode;  // enums of csi/shared_volume.h
    uint32_t mount_permissions; // 0: as the server makes it
    int64_t uid, gid;           // -1: as the server makes it
    uint32_t connections;       // of a fuse mount; 0: default
    struct node_group group;    // name NULL: of none
    struct record_node *nodes;
    size_t node_count;

    // what it was made from: id of a volume or snapshot; NULL: empty
    enum content_source source;
    char *source_id;
    // snapshots: the group's id; groups: the members' snapshot ids
    char *group_id;
    char **members;
    size_t member_count;
    // "v-<key>" or "s-<key>" of the records on the same share that copy from this object's data just now.
    // A pin counts only while that record exists in the state RECORD_COPYING.
    char **pins;
    size_t pin_count;
};

struct record *record_new(enum shared_kind kind, const char *name) must_check; // sets key; NULL: out of memory
struct record *record_free(struct record *record);
DEFINE_CLEANUP(record)

char *record_encode(const struct record *record) must_check; // JSON text, to be freed; NULL: out of memory
// `where` names the file for messages: ".stowage/volumes/<key>.json on 10.0.0.5/data".
int record_decode(const char *text, size_t len, enum shared_kind kind, const char *key, const char *where,
                  struct record **ret, struct err *err) must_check;

// Lists of texts (members, pins): adding what is there, or removing what is not, changes nothing.
int record_list_add(char ***list, size_t *count, const char *text) must_check;
bool record_list_remove(char **list, size_t *count, const char *text);
int record_set_text(char **target, const char *text) must_check; // replaces by a copy; NULL clears
