// SPDX-License-Identifier: Apache-2.0
// Batches of changes, and the files that they come to.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "sidecar/remote/key_files.h"
#include "tests/support/cm.h"

static char root[64], path[96];

static int set_up(void **state) {
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/stowage-key-files-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    (void)snprintf(path, sizeof path, "%s/files", root);
    return 0;
}
static int tear_down(void **state) {
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static struct key_files *opened(int64_t max) {
    const struct key_files_options options = {.dir = path, .bytes_max = max};
    struct key_files *files = NULL;
    assert_int_equal(key_files_open(&options, &files, NULL), 0);
    return files;
}

static void put(struct batch *batch, const char *key, const char *value) { // value NULL: removed
    assert_int_equal(batch_put(batch, key, mem_strdup(value), value ? strlen(value) : 0), 0);
}

static bool applied(struct key_files *files, struct batch *batch) {
    struct err err = ERR_NONE;
    bool changed = false;
    assert_int_equal(key_files_apply(files, batch, &err), 0);
    assert_int_equal(batch->changes.len, 0);
    assert_int_equal(key_files_write(files, &changed, &err), 0);
    return changed;
}

static void has(const char *name, const char *text) { // NULL: no such file
    char file[512], buf[64] = "";
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    int fd cleanup_close = open(file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd >= 0, text != NULL);
    if (!text)
        return;
    assert_true(read(fd, buf, sizeof buf - 1) >= 0);
    assert_string_equal(buf, text);
}

static void told(struct key_files *files, const char *text) { // NULL: anything
    struct json *changed cleanup(json_freep) = key_files_take_changed(files), *wanted cleanup(json_freep) = NULL;
    if (text)
        assert_int_equal(json_parse(text, strlen(text), 1024, &wanted, NULL), 0);
    assert_true(json_same(changed, wanted));
}

static void of_each_key_the_last_change_counts(void **state) {
    struct batch first cleanup(batch_done) = {0}, second cleanup(batch_done) = {0};
    (void)state;
    put(&first, "a", "1");
    put(&first, "a", "22");
    put(&first, "b", "1");
    assert_int_equal(first.bytes, 5);
    put(&second, "b", NULL);
    put(&second, "c", "333");
    (void)snprintf(second.id, sizeof second.id, "9-1");
    assert_int_equal(batch_move(&first, &second), 0);
    assert_int_equal(second.changes.len, 0);
    assert_int_equal(first.changes.len, 3);
    assert_int_equal(first.bytes, 3 + 1 + 4);
    assert_string_equal(first.id, "9-1");
    assert_null(((struct change *)strmap_get(&first.changes, "b"))->value);
    put(&second, "d", "1");
    second.whole = true; // what was before is of no interest
    assert_int_equal(batch_move(&first, &second), 0);
    assert_int_equal(first.changes.len, 1);
    assert_true(first.whole);
    put(&second, "e", "1");
    assert_int_equal(batch_move(&first, &second), 0);
    assert_int_equal(first.changes.len, 2);
    assert_true(first.whole);
}

static void changes_come_to_files(void **state) {
    struct key_files *files = opened(1 << 20);
    struct batch batch cleanup(batch_done) = {.whole = true};
    (void)state;
    assert_false(key_files_any(files));
    put(&batch, "a", "1");
    put(&batch, "x/y", "2");
    put(&batch, "gone", NULL);
    assert_true(applied(files, &batch));
    told(files, NULL); // what was there before is not known
    has("a", "1");
    has("x%2Fy", "2");
    assert_int_equal(key_files_counts(files)->bytes, 6);
    put(&batch, "a", "11");
    put(&batch, "x/y", NULL);
    put(&batch, "never", NULL);
    assert_true(applied(files, &batch));
    told(files, "{\"a\":true,\"x%2Fy\":true}");
    has("a", "11");
    has("x%2Fy", NULL);
    put(&batch, "a", "11");
    assert_false(applied(files, &batch));
    assert_int_equal(key_files_counts(files)->keys, 1);
    batch.whole = true; // all of it again, with less in it
    put(&batch, "b", "1");
    assert_true(applied(files, &batch));
    has("a", NULL);
    has("b", "1");
    files = key_files_free(files);
    has("b", "1");
    files = opened(1 << 20);
    assert_true(key_files_any(files));
    files = key_files_free(files);
}

static void more_than_the_limit_changes_nothing(void **state) {
    struct key_files *files = opened(4096);
    struct batch batch cleanup(batch_done) = {.whole = true};
    struct err err = ERR_NONE;
    char *large cleanup_free = mem_alloc(4096);
    (void)state;
    memset(large, 'x', 4095);
    large[4095] = '\0';
    put(&batch, "a", large); // to the byte
    assert_true(applied(files, &batch));
    put(&batch, "b", "");
    assert_int_equal(key_files_apply(files, &batch, &err), -E2BIG);
    assert_non_null(strstr(err.msg, "4096"));
    key_files_forget(files);
    batch.whole = true;
    for (int i = 0; i < 2049; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        put(&batch, key, i < 2048 ? "" : "x");
    }
    assert_int_equal(key_files_apply(files, &batch, &err), -E2BIG); // as many keys as bytes
    struct stat st;
    char file[128];
    (void)snprintf(file, sizeof file, "%s/a", path);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, 4095);
    files = key_files_free(files);
}

static void keys_without_a_name_are_counted(void **state) {
    struct key_files *files = opened(1 << 20);
    struct batch batch cleanup(batch_done) = {.whole = true};
    char key[300];
    (void)state;
    memset(key, 'k', 299);
    key[299] = '\0';
    put(&batch, key, "1");
    put(&batch, "a", "1");
    assert_true(applied(files, &batch));
    assert_int_equal(key_files_counts(files)->keys, 2);
    assert_int_equal(key_files_counts(files)->skipped, 1);
    assert_int_equal(strncmp(key_files_counts(files)->skipped_key, key, 60), 0);
    put(&batch, key, "2");
    assert_false(applied(files, &batch));
    assert_int_equal(key_files_counts(files)->skipped, 1);
    put(&batch, key, NULL);
    assert_false(applied(files, &batch));
    assert_int_equal(key_files_counts(files)->skipped, 0);
    assert_int_equal(key_files_counts(files)->bytes, 2);
    files = key_files_free(files);
}

static void files_that_somebody_took_away_are_told_of(void **state) {
    struct key_files *files = opened(1 << 20);
    struct batch batch cleanup(batch_done) = {.whole = true};
    char command[256];
    bool changed = false;
    (void)state;
    put(&batch, "a", "1");
    put(&batch, "b", "1");
    assert_true(applied(files, &batch));
    (void)snprintf(command, sizeof command, "rm '%s'/..data/a", path);
    assert_int_equal(system(command), 0);
    put(&batch, "b", "2");
    assert_int_equal(key_files_apply(files, &batch, NULL), 0);
    assert_int_equal(key_files_write(files, &changed, NULL), -ESTALE);
    has("b", "1");
    batch.whole = true;
    put(&batch, "a", "1");
    put(&batch, "b", "2");
    assert_true(applied(files, &batch));
    has("a", "1");
    has("b", "2");
    files = key_files_free(files);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_key_the_last_change_counts),
        TEST(changes_come_to_files),
        TEST(more_than_the_limit_changes_nothing),
        TEST(keys_without_a_name_are_counted),
        TEST(files_that_somebody_took_away_are_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
