// SPDX-License-Identifier: Apache-2.0
// The disk of a cache as a power cut may leave it.
//
// Why:     what a file system promises is little: after fdatasync the data are there. Records, names and pages of mapped files may each be
//          of any moment since they were made; blocks that were not synced may be whole, torn or missing.
// How:     a table of system calls that passes all through to a directory and remembers what was synced and what was ever said;
//          when the chosen call comes, it writes another directory with one of the states that the cut may leave.
#pragma once

#include <stdbool.h>

#include "lib/cache/io.h"

#define CRASH_FILES 512
#define CRASH_BLOCKS 16
#define CRASH_RECORDS 24
#define CRASH_SNAPSHOTS 12
#define CRASH_MAP_BYTES (3 * 4096)

struct crash_file { // an inode
    uint64_t ino;
    int fd;
    bool is_map;
    uint64_t size;
    unsigned char synced[CRASH_BLOCKS]; // 1: what is in the block now is there after the cut
    unsigned char records[CRASH_RECORDS][48];
    unsigned record_count;
    unsigned char *snapshots[CRASH_SNAPSHOTS]; // of a map
    unsigned snapshot_count;
};
struct crash_name {
    char name[48];
    struct crash_file *files[8]; // that ever had it; the last is the latest
    unsigned count;
    bool present; // now
};

struct crash_disk {
    struct cache_io io;
    char after[64];  // the directory to write; the caller makes and removes it
    long calls, cut; // the cut comes before call number `cut`
    bool done;
    bool ordered; // names and records are those of the moment of the cut, as a journal in order would have them
    uint64_t random;
    struct crash_file files[CRASH_FILES];
    unsigned file_count;
    struct crash_name names[64];
    unsigned name_count;
};

// `dir`: the cache directory; what it holds already is on the disk for good.
void crash_start(struct crash_disk *disk, const char *dir, uint64_t seed, uint64_t boot);
void crash_stop(struct crash_disk *disk);
void crash_cut(struct crash_disk *disk); // now, if it was not yet
uint64_t crash_random(struct crash_disk *disk, uint64_t below);
