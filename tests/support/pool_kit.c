// SPDX-License-Identifier: Apache-2.0
#include "tests/support/pool_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"

static int take(const struct local_record *record, void *arg) {
    struct pool_kit *kit = arg;
    if (kit->take_code == 0 && kit->taken_count < ARRAY_SIZE(kit->taken))
        kit->taken[kit->taken_count++] = *record;
    return kit->take_code;
}

int pool_kit_setup(void **state) {
    struct pool_kit *kit = mem_zalloc(sizeof *kit);
    if (!kit)
        return -1;
    *state = kit;
    (void)strcpy(kit->directory, "/tmp/stowage-pool.XXXXXX");
    return mkdtemp(kit->directory) ? 0 : -1;
}

int pool_kit_teardown(void **state) {
    struct pool_kit *kit = *state;
    char command[128];
    pool_kit_close(kit);
    (void)snprintf(command, sizeof command, "rm -rf %s", kit->directory);
    free(kit);
    return system(command);
}

void pool_kit_close(struct pool_kit *kit) {
    kit->pool = local_pool_free(kit->pool);
}

void pool_kit_open(struct pool_kit *kit) {
    char text[128];
    pool_kit_close(kit);
    kit->taken_count = 0;
    (void)snprintf(text, sizeof text, "fast=image:%s", kit->directory);
    assert_int_equal(local_pool_parse(text, "/run/stowage", &kit->pool, NULL), 0);
    local_pool_open(kit->pool, take, kit);
}

struct pool_kit_id pool_kit_id(const char *name) {
    struct pool_kit_id id;
    hash_id(name, strlen(name), id.key);
    (void)snprintf(id.text, sizeof id.text, "v-%s@fast", id.key);
    return id;
}

const char *pool_kit_path(const struct pool_kit *kit, const char *folder, const char *prefix, const char *name,
                          const char *suffix) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/.stowage/%s/%s%s%s", kit->directory, folder, prefix, name, suffix);
    return path;
}

void pool_kit_write(const char *path, const char *text) {
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

bool pool_kit_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}
