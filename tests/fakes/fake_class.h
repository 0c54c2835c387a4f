// SPDX-License-Identifier: Apache-2.0
// A volume class that lives in memory: what the CSI services are tested against.
//
// Why:     the services' own rules (checks, codes, pages, echoes) are proven without storage.
// Threads: any; one lock around everything.
// Rules:   ids are "vol-", "snap-" and "group-" with a number; others are garbage (-EINVAL from get, as a real class).
#pragma once

#include <pthread.h>

#include "csi/volume.h"

#define FAKE_CLASS_MAX 256
#define FAKE_NODE "fake-node"
#define FAKE_NODE_VOLUMES 8
#define FAKE_TOPOLOGY_KEY "topology.fake.stowage.dev/node"
#define FAKE_TOPOLOGY "here" // the only place where its volumes can be used

struct fake_object { // a volume, a snapshot or a group
    bool used;
    char *name;
    char id[32];
    char source[32]; // volume: content source; snapshot: volume
    char group[32];
    enum content_source kind;
    int64_t size;
    bool published, published_read_only, staged;
    char target[256];
};
struct fake_class {
    struct volume_class class;
    pthread_mutex_t lock;
    struct fake_object volumes[FAKE_CLASS_MAX], snapshots[FAKE_CLASS_MAX], groups[FAKE_CLASS_MAX];
    unsigned next;
    size_t generated;    // list gives so many further volumes with long contexts
    int fail;            // when set, every operation gives it
    int64_t deadline_ns; // of the last operation
};

void fake_class_init(struct fake_class *fake);
void fake_class_done(struct fake_class *fake);
// For tests while a server runs on the class.
size_t fake_class_volumes(struct fake_class *fake);
void fake_class_fail(struct fake_class *fake, int error);
void fake_class_generate(struct fake_class *fake, size_t count);
int64_t fake_class_deadline(struct fake_class *fake);
