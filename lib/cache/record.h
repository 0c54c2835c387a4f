// SPDX-License-Identifier: Apache-2.0
// What is said of an object on its own data file: the name it has, and the extended attribute that tells version and state.
//
// Why:     name and record are all that is needed to decide whether bytes may be trusted; neither the index nor a scan is.
//          The record is 48 bytes so that ext4 keeps it inside an inode of 256 bytes, where it costs no block.
// Fails:   -EBADMSG when the record is none of ours or torn (its checksum tells), -ENODATA when there is none.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/cache/cache.h"
#include "lib/cache/io.h"

struct cache_key {
    unsigned char bytes[16];
};
#define OBJECT_NAME_MAX 48 // "ab/cd/<32 hex>.map" and NUL

// `origin`: SHA-256 of the origin's text.
struct cache_key key_of(const unsigned char origin[static 32], const void *handle, size_t len);
void key_name(const struct cache_key *key, char ret[static OBJECT_NAME_MAX]);     // below objects/
void key_map_name(const struct cache_key *key, char ret[static OBJECT_NAME_MAX]); // its sidecar
bool key_parse(const char *hex, struct cache_key *ret);                           // the last part of key_name
bool key_eq(const struct cache_key *a, const struct cache_key *b);

enum record_state { RECORD_PARTIAL = 1, RECORD_COMPLETE = 2 };
struct record {
    uint64_t size;
    uint64_t mtime, ctime; // nanoseconds since 1970, modulo 2^64: only ever compared
    uint64_t boot;         // in which the state was reached
    uint32_t nonce;  // of this file, so that a sidecar of an earlier one at the same name is not taken for its own
    uint32_t volume; // volume_hash of the tag
    enum record_state state;
    bool durable, pinned;
};

struct record record_make(const struct cache_version *version); // PARTIAL
bool record_is_of(const struct record *record, const struct cache_version *version);
// May the state be believed? Always when durable, else in the boot in which it was reached.
static inline bool record_holds(const struct record *record, uint64_t boot) {
    return record->durable || record->boot == boot;
}
int record_read(const struct cache_io *io, int fd, struct record *ret) must_check;
int record_write(const struct cache_io *io, int fd, const struct record *record);

uint32_t volume_hash(const char *tag);
