// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/pool.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/support/pool_kit.h"

#define LONG_62 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// A disk that does not tell whether a file is there: the product's questions end here.
static const char *hidden; // part of its name; NULL: all is told
int faccessat(int at, const char *name, int mode, int flags) {
    if (hidden && strstr(name, hidden)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_faccessat2, at, name, mode, flags);
}

// ---- what --pool says ----

static void wrong_pools_are_refused_with_the_remedy(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "NAME=KIND:/DIRECTORY"},
        {"fast", "'fast' is not NAME=KIND:/DIRECTORY"},
        {"fast=/mnt/disk", "NAME=KIND:/DIRECTORY"},
        {"image:/mnt/disk", "NAME=KIND:/DIRECTORY"},
        {"=image:/mnt/disk", "its name must be of a-z, 0-9 and '-', at most 63 characters"},
        {"Fast=image:/mnt/disk", "its name must be"},
        {"fa st=image:/mnt/disk", "its name must be"},
        {"fa/st=image:/mnt/disk", "its name must be"},
        {"fa@st=image:/mnt/disk", "its name must be"},
        {"-fast=image:/mnt/disk", "its name must be"},
        {"fast-=image:/mnt/disk", "its name must be"},
        {LONG_62 "aa=image:/mnt/disk", "its name must be"},
        {"fast=lvm:/mnt/disk", "its kind must be"},
        {"fast=:/mnt/disk", "its kind must be"},
        {"fast=images:/mnt/disk", "its kind must be"},
        {"fast=image+wipe:/mnt/disk", "its kind must be"},
        {"fast=+wipe:/mnt/disk", "its kind must be"},
        {"fast=device:nvme*", "its pattern must begin with '/', as /dev/nvme*n1"},
        {"fast=image:", "its directory must be an absolute path"},
        {"fast=image:mnt/disk", "its directory must be an absolute path"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct local_pool *pool = NULL;
        struct err err = ERR_NONE;
        int r = local_pool_parse(cases[i].text, "/run/stowage", &pool, &err);
        if (r != -EINVAL || pool || !strstr(err.msg, cases[i].message))
            fail_msg("'%s': code %d, message '%s'", cases[i].text, r, err.msg);
        assert_int_equal(local_pool_check(cases[i].text, NULL), -EINVAL);
    }
}

static void disks_are_wiped_only_when_asked(void **state) {
    struct local_pool *kept cleanup(local_pool_freep) = NULL, *wiped cleanup(local_pool_freep) = NULL;
    (void)state;
    assert_int_equal(local_pool_parse("disks=device:/dev/nvme*n1", "/run/stowage", &kept, NULL), 0);
    assert_int_equal(local_pool_parse("disks=device+wipe:/dev/nvme*n1", "/run/stowage", &wiped, NULL), 0);
    assert_false(kept->wipe);
    assert_true(wiped->wipe);
    assert_string_equal(wiped->pattern, "/dev/nvme*n1");
    assert_string_equal(wiped->allocation->name, "device");
}

static void a_pool_has_its_name_and_its_directory(void **state) {
    (void)state;
    static const struct {
        const char *text, *name, *directory, *data;
    } cases[] = {
        {"a=image:/d", "a", "/d", "/d/.stowage/data"},
        {"fast-2=image:/mnt/a=b:c", "fast-2", "/mnt/a=b:c", "/mnt/a=b:c/.stowage/data"},
        {"q=quota:/mnt/q", "q", "/mnt/q", "/mnt/q/.stowage/data"},
        {"disks=device:/dev/nvme*n1", "disks", "/run/stowage/pools/disks", "/run/stowage/pools/disks/.stowage/data"},
        {LONG_62 "a=image:/mnt/disk//", LONG_62 "a", "/mnt/disk", "/mnt/disk/.stowage/data"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct local_pool *pool cleanup(local_pool_freep) = NULL;
        assert_int_equal(local_pool_parse(cases[i].text, "/run/stowage", &pool, NULL), 0);
        assert_string_equal(pool->name, cases[i].name);
        assert_string_equal(pool->directory, cases[i].directory);
        assert_string_equal(pool->data, cases[i].data);
    }
}

static void ids_tell_their_key_and_their_pool(void **state) {
    (void)state;
#define KEY "abcdefghijklmnopqrstuvwxy2"
    char key[HASH_ID_LEN + 1];
    static const char *const good[] = {"v-" KEY "@fast", "s-" KEY "@fast", "g-" KEY "@fast"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(local_key(good[i], key));
        assert_string_equal(key, KEY);
        assert_string_equal(local_pool_of(good[i]), "fast");
    }
    static const char *const bad[] = {
        "",
        "v",
        "v-",
        "v-" KEY,
        "v-" KEY "@",
        "x-" KEY "@fast",
        "v" KEY "@",
        "v_" KEY "@fast",
        "v-" KEY "a@fast",
        "v-abc@fast",
        "v-ABCDEFGHIJKLMNOPQRSTUVWXY2@fast",
        "v-../../../../../../etc/pas@fast",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(local_key(bad[i], key));
        assert_null(local_pool_of(bad[i]));
    }
}

// ---- opening ----

static void opening_makes_its_folders_for_nobody_else(void **state) {
    struct pool_kit *kit = *state;
    static const char *const folders[] = {"", "records", "data", "retained"};
    struct local_space space;
    struct err err = ERR_NONE;
    pool_kit_open(kit);
    assert_int_equal(local_pool_ready(kit->pool, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        struct stat st;
        assert_int_equal(stat(pool_kit_path(kit, folders[i], "", "", ""), &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        assert_int_equal(st.st_mode & 0777, 0700);
    }
    // The probe for shared blocks leaves nothing.
    assert_int_equal(rmdir(pool_kit_path(kit, "data", "", "", "")), 0);
    assert_int_equal(local_pool_space(kit->pool, &space, &err), 0);
    assert_true(space.available > 0 && space.total >= space.available);
}

static void only_one_process_serves_a_pool(void **state) {
    struct pool_kit *kit = *state;
    struct pool_kit other = {0};
    struct pool_kit_id id = pool_kit_id("orphan");
    struct err err = ERR_NONE;
    (void)strcpy(other.directory, kit->directory);
    pool_kit_open(kit);
    pool_kit_write(pool_kit_path(kit, "data", "", id.key, ""), "being made by the first");
    pool_kit_open(&other);
    assert_int_equal(other.pool->broken.code, -ENODEV);
    assert_non_null(strstr(other.pool->broken.msg, "is served by another stowage-node; stop it first"));
    assert_int_equal(local_pool_ready(other.pool, &err), -ENODEV);
    assert_non_null(strstr(err.msg, "pool 'fast'"));
    assert_true(pool_kit_exists(pool_kit_path(kit, "data", "", id.key, "")));
    pool_kit_close(kit);
    pool_kit_open(&other);
    assert_int_equal(local_pool_ready(other.pool, &err), 0);
    pool_kit_close(&other);
}

static void a_missing_disk_is_told_of_and_not_made(void **state) {
    struct pool_kit *kit = *state;
    struct pool_kit gone = {0};
    struct err err = ERR_NONE;
    (void)snprintf(gone.directory, sizeof gone.directory, "%s/gone", kit->directory);
    pool_kit_open(&gone);
    assert_int_equal(local_pool_ready(gone.pool, &err), -ENODEV);
    assert_non_null(strstr(err.msg, gone.directory));
    assert_non_null(strstr(err.msg, "mount its disk there or make it"));
    assert_false(pool_kit_exists(gone.directory));
    pool_kit_close(&gone);
}

static void what_stands_in_its_place_is_left_alone(void **state) {
    struct pool_kit *kit = *state;
    struct err err = ERR_NONE;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/.stowage", kit->directory);
    assert_int_equal(symlink("/tmp", path), 0); // would make folders in somebody else's directory
    pool_kit_open(kit);
    assert_int_equal(local_pool_ready(kit->pool, &err), -ENODEV);
    assert_non_null(strstr(err.msg, ".stowage"));
    assert_int_equal(unlink(path), 0);
    pool_kit_write(path, "a file");
    pool_kit_open(kit);
    assert_int_equal(local_pool_ready(kit->pool, &err), -ENODEV);
}

// ---- records ----

static struct local_record record_of(const struct pool_kit_id *id, const char *name) {
    struct local_record record = {.kind = LOCAL_VOLUME, .bytes = 4096};
    assert_int_equal(LOCAL_SET(record.id, id->text), 0);
    assert_int_equal(LOCAL_SET(record.name, name), 0);
    return record;
}

// A volume with its data.
static struct pool_kit_id make(struct pool_kit *kit, const char *name) {
    struct pool_kit_id id = pool_kit_id(name);
    struct local_record record = record_of(&id, name);
    assert_int_equal(local_pool_save(kit->pool, &record, NULL), 0);
    pool_kit_write(pool_kit_path(kit, "data", "", id.key, ""), name);
    return id;
}

static bool has_data(const struct pool_kit *kit, const struct pool_kit_id *id) {
    return pool_kit_exists(pool_kit_path(kit, "data", "", id->key, ""));
}
static bool has_record(const struct pool_kit *kit, const struct pool_kit_id *id) {
    return pool_kit_exists(pool_kit_path(kit, "records", "", id->key, ".json"));
}

static void what_was_saved_is_found_again(void **state) {
    struct pool_kit *kit = *state;
    pool_kit_open(kit);
    struct pool_kit_id a = make(kit, "a"), b = make(kit, "b");
    struct local_record changed = record_of(&b, "b");
    changed.bytes = 8192;
    assert_int_equal(local_pool_save(kit->pool, &changed, NULL), 0);
    pool_kit_open(kit);
    assert_int_equal(kit->taken_count, 2);
    const struct local_record *back = &kit->taken[str_eq(kit->taken[0].id, b.text) ? 0 : 1];
    assert_string_equal(back->id, b.text);
    assert_int_equal(back->bytes, 8192);
    assert_true(has_data(kit, &a) && has_data(kit, &b));

    assert_int_equal(local_pool_forget(kit->pool, a.text, NULL), 0);
    assert_int_equal(local_pool_forget(kit->pool, a.text, NULL), 0);
    pool_kit_open(kit);
    assert_int_equal(kit->taken_count, 1);
    assert_string_equal(kit->taken[0].id, b.text);
    assert_false(has_data(kit, &a)); // nobody knows it any more
    assert_true(has_data(kit, &b));
}

static void a_record_that_cannot_be_used_is_kept_with_its_data(void **state) {
    struct pool_kit *kit = *state;
    struct pool_kit_id id = pool_kit_id("bad"), other = pool_kit_id("other");
    char *wrong_key cleanup_free = mem_printf("{\"version\":1,\"kind\":118,\"id\":\"%s\",\"name\":\"n\"}", other.text);
    char *wrong_pool cleanup_free =
        mem_printf("{\"version\":1,\"kind\":118,\"id\":\"v-%s@slow\",\"name\":\"n\"}", id.key);
    char *newer cleanup_free = mem_printf("{\"version\":2,\"kind\":118,\"id\":\"%s\",\"name\":\"n\"}", id.text);
    char *lacking cleanup_free = mem_printf("{\"version\":1,\"kind\":118,\"id\":\"%s\"}", id.text);
    char *large cleanup_free =
        mem_printf("{\"version\":1,\"kind\":118,\"id\":\"%s\",\"name\":\"n\"}%70000s", id.text, "");
    const char *const texts[] = {"", "{", "[]", wrong_key, wrong_pool, newer, lacking, large};
    for (size_t i = 0; i <= ARRAY_SIZE(texts); i++) {
        pool_kit_open(kit);
        struct pool_kit_id good = make(kit, "good");
        const char *path = pool_kit_path(kit, "records", "", id.key, ".json");
        if (i < ARRAY_SIZE(texts)) {
            pool_kit_write(path, texts[i]);
        } else { // a link is not followed
            assert_int_equal(unlink(path), 0);
            assert_int_equal(symlink("/etc/hostname", path), 0);
        }
        pool_kit_write(pool_kit_path(kit, "data", "", id.key, ""), "somebody's data");
        pool_kit_open(kit);
        assert_int_equal(local_pool_ready(kit->pool, NULL), 0);
        assert_int_equal(kit->taken_count, 1);
        assert_string_equal(kit->taken[0].id, good.text);
        assert_true(has_record(kit, &id));
        assert_true(local_pool_has_record(kit->pool, id.text));
        assert_false(local_pool_has_record(kit->pool, other.text));
        assert_true(has_data(kit, &id));
        assert_true(has_data(kit, &good));
    }
}

static void what_was_never_promised_is_removed_and_nothing_else(void **state) {
    struct pool_kit *kit = *state;
    pool_kit_open(kit);
    struct pool_kit_id known = make(kit, "known"), orphan = pool_kit_id("orphan");
    static const char *const foreign[] = {"notes.txt", ".hidden", "lost+found", "abcdefghijklmnopqrstuvwxyz.bak"};
    pool_kit_write(pool_kit_path(kit, "data", "", orphan.key, ""), "orphan");
    pool_kit_write(pool_kit_path(kit, "data", ".", orphan.key, ".new"), "unfinished");
    pool_kit_write(pool_kit_path(kit, "data", ".", known.key, ".new"), "unfinished"); // of a copy over itself
    pool_kit_write(pool_kit_path(kit, "records", ".", known.key, ".json.new"), "{\"vers");
    pool_kit_write(pool_kit_path(kit, "retained", "", orphan.key, ""), "retained");
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
        pool_kit_write(pool_kit_path(kit, "data", "", foreign[i], ""), "somebody's");
    pool_kit_open(kit);
    assert_int_equal(kit->taken_count, 1);
    assert_false(has_data(kit, &orphan));
    assert_false(pool_kit_exists(pool_kit_path(kit, "data", ".", orphan.key, ".new")));
    assert_false(pool_kit_exists(pool_kit_path(kit, "data", ".", known.key, ".new")));
    assert_false(pool_kit_exists(pool_kit_path(kit, "records", ".", known.key, ".json.new")));
    assert_true(has_data(kit, &known));
    assert_true(has_record(kit, &known));
    assert_true(pool_kit_exists(pool_kit_path(kit, "retained", "", orphan.key, "")));
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
        assert_true(pool_kit_exists(pool_kit_path(kit, "data", "", foreign[i], "")));
}

static void data_is_kept_when_nobody_can_tell_whether_it_has_a_record(void **state) {
    struct pool_kit *kit = *state;
    pool_kit_open(kit);
    struct pool_kit_id known = make(kit, "known"), orphan = pool_kit_id("orphan");
    pool_kit_write(pool_kit_path(kit, "data", "", orphan.key, ""), "orphan");
    hidden = known.key;
    pool_kit_open(kit);
    bool has = local_pool_has_record(kit->pool, known.text);
    hidden = NULL;
    assert_true(has);
    assert_true(has_data(kit, &known));
    assert_false(has_data(kit, &orphan));
}

static void records_that_were_not_all_taken_remove_nothing(void **state) {
    struct pool_kit *kit = *state;
    pool_kit_open(kit);
    struct pool_kit_id known = make(kit, "known"), orphan = pool_kit_id("orphan");
    pool_kit_write(pool_kit_path(kit, "data", "", orphan.key, ""), "orphan");
    kit->take_code = -ENOMEM;
    pool_kit_open(kit);
    assert_int_equal(local_pool_ready(kit->pool, NULL), -ENODEV);
    assert_true(has_data(kit, &known));
    assert_true(has_data(kit, &orphan));
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, pool_kit_setup, pool_kit_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_pools_are_refused_with_the_remedy),
        cmocka_unit_test(a_pool_has_its_name_and_its_directory),
        cmocka_unit_test(disks_are_wiped_only_when_asked),
        cmocka_unit_test(ids_tell_their_key_and_their_pool),
        TEST(opening_makes_its_folders_for_nobody_else),
        TEST(only_one_process_serves_a_pool),
        TEST(a_missing_disk_is_told_of_and_not_made),
        TEST(what_stands_in_its_place_is_left_alone),
        TEST(what_was_saved_is_found_again),
        TEST(a_record_that_cannot_be_used_is_kept_with_its_data),
        TEST(what_was_never_promised_is_removed_and_nothing_else),
        TEST(data_is_kept_when_nobody_can_tell_whether_it_has_a_record),
        TEST(records_that_were_not_all_taken_remove_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
