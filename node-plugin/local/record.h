// SPDX-License-Identifier: Apache-2.0
// What is remembered of one local volume, snapshot or group: a plain value, kept as JSON on the pool that has the data.
//
// Why:     a reinstalled node plugin finds its volumes again, and a copy of a record needs no destructor.
// Fails:   decoding: -EBADMSG with what is wrong; -EPROTONOSUPPORT for a record of a newer version.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "csi/local_volume.h"
#include "csi/volume.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"

#define LOCAL_RECORD_VERSION 1
#define LOCAL_NAME_SIZE (128 * 4 + 1) // 128 characters of UTF-8 (CSI specification, CreateVolumeRequest.name)
#define LOCAL_FS_SIZE 16
#define LOCAL_TARGET_SIZE 512

enum local_kind { LOCAL_VOLUME = 'v', LOCAL_SNAPSHOT = 's', LOCAL_GROUP = 'g' };
enum local_on_delete { LOCAL_DELETE, LOCAL_RETAIN };

struct local_record {
    enum local_kind kind;
    char id[CSI_ID_MAX + 1]; // "v-<26 characters>@<pool>"
    char name[LOCAL_NAME_SIZE];
    int64_t bytes;      // of a snapshot: of its volume then; of a group: 0
    int64_t created_ns; // since 1970
    char source_id[CSI_ID_MAX + 1];
    enum content_source source; // of a snapshot: CONTENT_VOLUME
    // of volumes
    bool full;                     // all of its space is allocated at once
    int on_delete;                 // enum local_on_delete
    char fs_type[LOCAL_FS_SIZE];   // asked for when it was made; "" for block access
    bool raw;                      // made for block access, or a copy of such: never formatted by us. Also of snapshots
    char formatted[LOCAL_FS_SIZE]; // what it was formatted with; "" not yet. Also of snapshots
    int64_t fs_bytes;              // the size of the file system in it, as made or last grown
    bool published, published_read_only;
    char inline_target[LOCAL_TARGET_SIZE]; // of an inline volume: where its pod has it; "" of all others
    // of snapshots
    char group_id[CSI_ID_MAX + 1];
};

// Which text field is too long for its place, if one is: NULL when all fits. For texts of requests.
int local_text_set(char *to, size_t size, const char *text) must_check; // -ENAMETOOLONG; NULL counts as ""
#define LOCAL_SET(field, text) local_text_set(field, sizeof(field), text)

struct json *local_record_encode(const struct local_record *record) must_check; // NULL: out of memory
int local_record_decode(const struct json *json, struct local_record *ret, struct err *err) must_check;
