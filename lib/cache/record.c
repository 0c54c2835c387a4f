// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"

#define RECORD_MAGIC 0x5753u
#define RECORD_LAYOUT 1u
#define FLAG_COMPLETE 1u
#define FLAG_DURABLE 2u
#define FLAG_PINNED 4u

struct disk_record { // in the byte order of the machine: the disk does not leave it
    uint32_t crc;    // of what follows
    uint16_t magic;
    uint8_t layout, flags;
    uint64_t size, mtime, ctime, boot;
    uint32_t nonce, volume;
};
_Static_assert(sizeof(struct disk_record) == 48, "must stay inside the inode, see record.h");

struct cache_key key_of(const unsigned char origin[static 32], const void *handle, size_t len) {
    unsigned char text[HASH_SHA256 + 256], digest[HASH_SHA256];
    memcpy(text, origin, HASH_SHA256);
    if (len > sizeof text - HASH_SHA256) { // no origin has such handles; a digest keeps them apart all the same
        hash_sha256(handle, len, text + HASH_SHA256);
        len = HASH_SHA256;
    } else if (len) {
        memcpy(text + HASH_SHA256, handle, len);
    }
    hash_sha256(text, HASH_SHA256 + len, digest);
    struct cache_key key;
    memcpy(key.bytes, digest, sizeof key.bytes);
    return key;
}

static void put_name(const struct cache_key *key, const char *suffix, char ret[static OBJECT_NAME_MAX]) {
    char hex[2 * sizeof key->bytes + 1];
    hash_hex(key->bytes, sizeof key->bytes, hex);
    (void)snprintf(ret, OBJECT_NAME_MAX, "%.2s/%.2s/%s%s", hex, hex + 2, hex, suffix);
}

void key_name(const struct cache_key *key, char ret[static OBJECT_NAME_MAX]) {
    put_name(key, "", ret);
}

void key_map_name(const struct cache_key *key, char ret[static OBJECT_NAME_MAX]) {
    put_name(key, ".map", ret);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool key_parse(const char *hex, struct cache_key *ret) {
    if (strlen(hex) != 2 * sizeof ret->bytes)
        return false;
    for (size_t i = 0; i < sizeof ret->bytes; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool key_eq(const struct cache_key *a, const struct cache_key *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static uint32_t crc32c(const void *data, size_t len) { // Castagnoli, four bits at a step: records are short
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *p = data;
    uint32_t crc = ~0u;
    while (len-- > 0) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static uint64_t time_ns(const struct timespec *t) {
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

struct record record_make(const struct cache_version *version) {
    return (struct record){.size = version->size,
                           .mtime = time_ns(&version->mtime),
                           .ctime = time_ns(&version->ctime),
                           .state = RECORD_PARTIAL};
}

bool record_is_of(const struct record *record, const struct cache_version *version) {
    return record->size == version->size && record->mtime == time_ns(&version->mtime) &&
           record->ctime == time_ns(&version->ctime);
}

int record_read(const struct cache_io *io, int fd, struct record *ret) {
    struct disk_record disk;
    ssize_t len = io_get_record(io, fd, &disk, sizeof disk);
    if (len == -ERANGE)
        return -EBADMSG;
    if (len < 0)
        return (int)len;
    if (len != sizeof disk || disk.magic != RECORD_MAGIC || disk.layout != RECORD_LAYOUT ||
        disk.crc != crc32c(&disk.magic, sizeof disk - sizeof disk.crc))
        return -EBADMSG;
    *ret = (struct record){.size = disk.size,
                           .mtime = disk.mtime,
                           .ctime = disk.ctime,
                           .boot = disk.boot,
                           .nonce = disk.nonce,
                           .volume = disk.volume,
                           .state = disk.flags & FLAG_COMPLETE ? RECORD_COMPLETE : RECORD_PARTIAL,
                           .durable = disk.flags & FLAG_DURABLE,
                           .pinned = disk.flags & FLAG_PINNED};
    return 0;
}

int record_write(const struct cache_io *io, int fd, const struct record *record) {
    struct disk_record disk = {.magic = RECORD_MAGIC,
                               .layout = RECORD_LAYOUT,
                               .size = record->size,
                               .mtime = record->mtime,
                               .ctime = record->ctime,
                               .boot = record->boot,
                               .nonce = record->nonce,
                               .volume = record->volume};
    disk.flags = (uint8_t)((record->state == RECORD_COMPLETE ? FLAG_COMPLETE : 0) |
                           (record->durable ? FLAG_DURABLE : 0) | (record->pinned ? FLAG_PINNED : 0));
    disk.crc = crc32c(&disk.magic, sizeof disk - sizeof disk.crc);
    return io_set_record(io, fd, &disk, sizeof disk);
}

uint32_t volume_hash(const char *tag) {
    unsigned char digest[HASH_SHA256];
    hash_sha256(tag, strlen(tag), digest);
    uint32_t hash;
    memcpy(&hash, digest, sizeof hash);
    return hash;
}
