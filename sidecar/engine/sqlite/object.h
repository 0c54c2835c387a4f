// SPDX-License-Identifier: Apache-2.0
// Objects: what the files that implement them share.
#pragma once

#include "lib/base/hash.h"
#include "sidecar/engine/sqlite/store.h"

// Small ones gather in `data`, larger ones in a file nobody knows yet: one with a name that is never used again.
struct object_upload {
    struct work work; // first
    struct store *store;
    char *workspace, *bucket, *type;
    struct blob key;
    int64_t wanted, size; // wanted -1: not known
    char *data;           // OBJECT_INLINE_MAX bytes
    int fd;
    int64_t file, unflushed;
    int64_t room; // taken of its workspace's
    struct hash_md5 *md5;
    char etag[40];
    struct object_put *put;
    void (*done)(struct engine_call *call); // the caller's
};

int object_upload_new(void *self, const char *workspace, const char *bucket, struct blob key, const char *type,
                      int64_t size, struct object_upload **ret, struct err *err);
int object_upload_write(void *self, struct object_upload *u, const void *data, size_t len, struct err *err);
void object_upload_cancel(void *self, struct object_upload *u);
struct object_upload *object_upload_free(struct object_upload *u, bool keep); // the file
int object_upload_sync(struct object_upload *u, struct err *err) must_check;

void object_get(void *self, struct object_get *call);
void object_stat(void *self, struct object_get *call);
void object_list(void *self, struct object_list *call);

// object_room.c
// -EDQUOT when the uploads of its workspace would hold more than the quota.
int object_room_take(struct object_upload *u, int64_t bytes, struct err *err) must_check;
void object_room_give_back(struct object_upload *u);

// object_files.c
int object_file_create(struct store *s, int64_t *ret_file, int *ret_fd, struct err *err) must_check;
int object_file_sync_folder(struct store *s, int64_t file, struct err *err) must_check;
void object_file_remove(struct store *s, int64_t file);
