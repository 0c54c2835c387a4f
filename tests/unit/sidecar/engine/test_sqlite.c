// SPDX-License-Identifier: Apache-2.0
// The folder of the store: damage, versions, torn logs, full disks, memory, backups.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/sqlite.h"
#include "sidecar/engine/sqlite/store.h"
#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

#define LARGE 100000
static struct kit kit;
static char large[LARGE];

static int setup(void **state) {
    (void)state;
    memset(large, 'x', sizeof large);
    kit_start(&kit);
    return kit_ns(&kit, "n");
}
static int teardown(void **state) {
    (void)state;
    kit_stop(&kit);
    return 0;
}

static const char *path_of(const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", kit.folder, name);
    return path;
}

static int try_open(const char *folder, struct err *err) {
    struct engine engine;
    *err = ERR_NONE;
    int r = sqlite_engine_open(&(struct sqlite_engine_options){.folder = folder, .clock = &kit.clock}, &engine, err);
    if (r == 0)
        sqlite_engine_close(&engine);
    return r;
}

static void expect(const char *key, const char *value) {
    char *got cleanup_free = kit_get(&kit, "n", key);
    if (!value) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, value);
}

static void damage(const char *path, off_t at, size_t len) {
    char *noise cleanup_free = malloc(len);
    memset(noise, 0xa5, len);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, noise, len, at), len);
    (void)close(fd);
}

static void test_refuses_damage(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key%d", i);
        assert_int_equal(kit_put(&kit, "n", key, "0123456789012345678901234567890123456789"), 0);
    }
    kit_close(&kit);
    char *copy cleanup_free = mem_printf("cp %s/store.db %s/good", kit.folder, kit.folder);
    assert_int_equal(system(copy), 0);
    struct err err;
    static const off_t places[] = {0, 4096 * 5, 4096 * 9};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        damage(path_of("store.db"), places[i], 2000);
        if (try_open(kit.folder, &err) != -EIO)
            fail_msg("damage at %lld is not seen: %s", (long long)places[i], err_text(&err));
        assert_non_null(strstr(err.msg, "store.db"));
        assert_non_null(strstr(err.msg, "restore"));
        char *back cleanup_free = mem_printf("cp %s/good %s/store.db", kit.folder, kit.folder);
        assert_int_equal(system(back), 0);
    }
    kit_open(&kit);
    expect("key199", "0123456789012345678901234567890123456789");
}

static void test_refuses_a_newer_version(void **state) {
    (void)state;
    kit_close(&kit);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path_of("store.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    struct err err;
    assert_int_equal(try_open(kit.folder, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "99"));
    assert_int_equal(sqlite3_open(path_of("store.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=1", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    kit_open(&kit);
}

static void test_belongs_to_one_process(void **state) {
    (void)state;
    kit_close(&kit);
    int there[2], enough[2];
    assert_int_equal(pipe(there), 0);
    assert_int_equal(pipe(enough), 0);
    pid_t pid = fork();
    char byte = 0;
    if (pid == 0) {
        (void)close(enough[1]);
        kit_open(&kit);
        _exit(write(there[1], &byte, 1) == 1 && read(enough[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_int_equal(read(there[0], &byte, 1), 1);
    struct err err;
    assert_int_equal(try_open(kit.folder, &err), -EBUSY);
    (void)close(enough[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(enough[0]);
    (void)close(there[0]);
    (void)close(there[1]);
    kit_open(&kit);
}

// The log is cut where a crash might have cut it: what was written before the cut is there, in order, and nothing else.
static void test_torn_log(void **state) {
    (void)state;
    enum { WRITES = 40 };
    for (int i = 0; i < WRITES; i++) {
        char value[8];
        (void)snprintf(value, sizeof value, "%d", i);
        assert_int_equal(kit_put(&kit, "n", "first", value), 0);
        assert_int_equal(kit_put(&kit, "n", "second", value), 0);
    }
    char *command cleanup_free = mem_printf("mkdir %s/saved && cp %s/store.db %s/store.db-wal %s/saved/", kit.folder,
                                            kit.folder, kit.folder, kit.folder);
    assert_int_equal(system(command), 0);
    kit_close(&kit);
    struct stat st;
    assert_int_equal(stat(path_of("saved/store.db-wal"), &st), 0);
    srandom(7);
    for (int round = 0; round < 30; round++) {
        off_t cut = round == 0 ? st.st_size : random() % st.st_size;
        char *put_back cleanup_free =
            mem_printf("cp %s/saved/store.db %s/store.db && cp %s/saved/store.db-wal %s/store.db-wal", kit.folder,
                       kit.folder, kit.folder, kit.folder);
        assert_int_equal(system(put_back), 0);
        assert_int_equal(truncate(path_of("store.db-wal"), cut), 0);
        kit_open(&kit);
        char *first cleanup_free = kit_get(&kit, "n", "first"), *second cleanup_free = kit_get(&kit, "n", "second");
        int a = first ? atoi(first) : -1, b = second ? atoi(second) : -1;
        assert_true(a == b || a == b + 1);
        if (round == 0)
            assert_int_equal(b, WRITES - 1);
        kit_close(&kit);
    }
    kit_open(&kit);
}

// ---- backup and restore ----

static void test_backup_and_restore(void **state) {
    (void)state;
    const struct object_condition any = {0};
    struct err err = ERR_NONE;
    assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    assert_int_equal(kit_object(&kit, "private", "k", large, LARGE, any), 0);
    char backup[128], restored[128];
    (void)snprintf(backup, sizeof backup, "%s/backup", kit.folder);
    (void)snprintf(restored, sizeof restored, "%s/restored", kit.folder);
    assert_int_equal(sqlite_engine_backup(&kit.engine, backup, &err), 0);
    assert_int_equal(sqlite_engine_backup(&kit.engine, backup, &err), -EEXIST);
    assert_int_equal(kit_put(&kit, "n", "a", "2"), 0);
    assert_int_equal(kit_object_remove(&kit, "private", "k"), 0);
    assert_int_equal(sqlite_engine_restore(backup, kit.folder, &err), -ENOTEMPTY);
    assert_int_equal(sqlite_engine_restore(kit.folder + 1, restored, &err), -ENOENT);
    assert_int_equal(sqlite_engine_restore(backup, restored, &err), 0);
    struct kit other = {.folder = ""};
    (void)snprintf(other.folder, sizeof other.folder, "%s", restored);
    other.clock = kit.clock;
    kit_open(&other);
    char *value cleanup_free = kit_get(&other, "n", "a");
    assert_string_equal(value, "1");
    size_t len;
    int code;
    char *bytes cleanup_free = kit_object_get(&other, "private", "k", &len, &code);
    assert_int_equal(code, 0);
    assert_int_equal(len, LARGE);
    assert_memory_equal(bytes, large, LARGE);
    kit_close(&other);
    expect("a", "2");
}

// Two at a time would write to one partial folder, and remove it under each other.
static void test_one_backup_at_a_time(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct store *s = kit.engine.self;
    char backup[128], partial[160];
    (void)snprintf(backup, sizeof backup, "%s/backup", kit.folder);
    (void)snprintf(partial, sizeof partial, "%s.partial", backup);
    assert_int_equal(mkdir(partial, 0700), 0); // of the one under way
    atomic_store(&s->backing_up, true);
    assert_int_equal(sqlite_engine_backup(&kit.engine, backup, &err), -EBUSY);
    assert_int_equal(access(partial, F_OK), 0);
    atomic_store(&s->backing_up, false);
    assert_int_equal(sqlite_engine_backup(&kit.engine, kit.folder, &err), -EEXIST); // a failure leaves the way free
    assert_int_equal(sqlite_engine_backup(&kit.engine, backup, &err), 0);
    assert_false(atomic_load(&s->backing_up));
}

// ---- files ----

static int count_files(const char *path) {
    DIR *dir = opendir(path);
    int count = 0;
    if (!dir)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char below[512];
        (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        count += entry->d_type == DT_DIR ? count_files(below) : 1;
    }
    (void)closedir(dir);
    return count;
}

static void test_files_that_no_object_needs(void **state) {
    (void)state;
    const struct object_condition any = {0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(kit_object(&kit, "private", "k", large, LARGE - (size_t)i, any), 0);
    assert_int_equal(kit_object(&kit, "private", "l", large, LARGE, any), 0);
    kit_close(&kit); // as a crash would leave it: a file of an earlier time that no row knows
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s/objects/2/0", kit.folder);
    (void)mkdir(path_of("objects/2"), 0700);
    (void)mkdir(folder, 0700);
    int fd = open(path_of("objects/2/0/1000"), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    kit_open(&kit);
    for (int tries = 0; tries < 2; tries++) { // closing waits for what was begun
        kit_close(&kit);
        kit_open(&kit);
        assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    }
    kit_close(&kit);
    kit_open(&kit);
    size_t len;
    int code;
    char *bytes cleanup_free = kit_object_get(&kit, "private", "l", &len, &code);
    assert_int_equal(code, 0);
    assert_int_equal(len, LARGE);
    for (int tries = 0; tries < 1000 && count_files(path_of("objects")) > 2; tries++)
        assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    assert_int_equal(count_files(path_of("objects")), 2);
}

// ---- full disk ----

static void test_full_disk(void **state) {
    (void)state;
    const struct object_condition any = {0};
    kit_close(&kit);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", kit.folder, "tmpfs", 0, "size=4m") < 0) {
        printf("# skipped: a small file system needs root\n");
        kit_open(&kit);
        skip();
    }
    kit_open(&kit);
    assert_int_equal(kit_ns(&kit, "n"), 0);
    assert_int_equal(kit_put(&kit, "n", "kept", "1"), 0);
    char *value cleanup_free = malloc(200001);
    memset(value, 'v', 200000);
    value[200000] = '\0';
    int fd = open(path_of("ballast"), O_CREAT | O_WRONLY, 0600), written = 0, r = 0;
    assert_int_equal(ftruncate(fd, 0), 0);
    while (write(fd, large, LARGE) == LARGE && ++written < 30)
        ;
    for (int i = 0; i < 100 && r == 0; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        r = kit_put(&kit, "n", key, value);
    }
    assert_int_equal(r, -ENOSPC);
    expect("kept", "1");
    struct object_upload *upload;
    assert_int_equal(
        kit.engine.object->upload(kit.engine.self, "ws", "b", text_blob("k"), NULL, 9000000, &upload, NULL),
        -ENOSPC); // at once, not after nine megabytes
    r = kit_object(&kit, "private", "big", value, 200000, any);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(ftruncate(fd, 0), 0);
    (void)close(fd);
    assert_int_equal(kit_put(&kit, "n", "again", value), 0);
    assert_int_equal(kit_object(&kit, "private", "big", value, 200000, any), 0);
    kit_close(&kit);
    kit_open(&kit);
    expect("kept", "1");
    expect("again", value);
    kit_close(&kit);
    assert_int_equal(umount2(kit.folder, MNT_DETACH), 0);
    kit_open(&kit);
}

// ---- input and output errors ----

static void test_write_error(void **state) {
    (void)state;
    assert_int_equal(kit_put(&kit, "n", "kept", "1"), 0);
    struct rlimit none = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY}, before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); // every write to a file fails, with EFBIG
    assert_int_equal(kit_put(&kit, "n", "lost", "1"), -EIO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(kit_put(&kit, "n", "lost", "1"), -EIO); // until it is opened again
    assert_int_equal(kit.engine.probe(kit.engine.self, NULL), -EIO);
    expect("kept", "1");
    expect("lost", NULL);
    kit_close(&kit);
    kit_open(&kit);
    expect("kept", "1");
    expect("lost", NULL);
    assert_int_equal(kit_put(&kit, "n", "lost", "1"), 0);
    assert_int_equal(kit.engine.probe(kit.engine.self, NULL), 0);
}

// ---- memory ----

// Whatever allocation fails: a clear failure or none, nothing lost, nothing by halves.
static void test_no_memory(void **state) {
    (void)state;
    const struct object_condition any = {0};
    assert_int_equal(kit_queue(&kit, "q", KIT_DEFAULTS), 0);
    long last = 1;
    for (long n = 1; n <= last + 40 && n < 3000; n++) {
        char key[16], body[16];
        (void)snprintf(key, sizeof key, "k%ld", n);
        (void)snprintf(body, sizeof body, "m%ld", n);
        (void)mem_fail_nth(n);
        int put = kit_put(&kit, "n", key, "1");
        int sent = kit_send(&kit, "q", body, NULL);
        int stored = kit_object(&kit, "private", key, large, 40000, any);
        long counted = mem_fail_nth(0);
        if (counted >= n)
            last = n;
        assert_true(put == 0 || put == -ENOMEM);
        assert_true(sent == 0 || sent == -ENOMEM);
        assert_true(stored == 0 || stored == -ENOMEM || stored == -EIO);
        expect(key, put == 0 ? "1" : NULL);
        char *got cleanup_free = kit_receive(&kit, "q", QUEUE_TAKE, NULL);
        assert_int_equal(got != NULL, sent == 0);
        size_t len;
        int code;
        free(kit_object_get(&kit, "private", key, &len, &code));
        assert_int_equal(code == 0, stored == 0);
    }
    assert_true(last > 5);
}

static void test_no_memory_to_open(void **state) {
    (void)state;
    kit_close(&kit);
    int r = -ENOMEM;
    struct err err;
    for (long n = 1; r < 0 && n < 5000; n += n < 50 ? 1 : 7) {
        (void)mem_fail_nth(n);
        r = try_open(kit.folder, &err);
        long counted = mem_fail_nth(0);
        if (counted < n) {
            assert_int_equal(r, 0);
        } else if (r == 0) {
            r = -ENOMEM; // it could do without
        }
    }
    assert_int_equal(r, 0);
    kit_open(&kit);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_refuses_damage),
        T(test_refuses_a_newer_version),
        T(test_belongs_to_one_process),
        T(test_torn_log),
        T(test_backup_and_restore),
        T(test_one_backup_at_a_time),
        T(test_files_that_no_object_needs),
        T(test_full_disk),
        T(test_write_error),
        T(test_no_memory),
        T(test_no_memory_to_open),
    };
    return cmocka_run_group_tests_name("the folder of the store", tests, NULL, NULL);
}
