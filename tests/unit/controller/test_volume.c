// SPDX-License-Identifier: Apache-2.0
// The life of a volume over an in-memory share.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/volume_private.h"
#include "tests/fakes/controller_fixture.h"

struct state {
    struct fake_nfs_store *store;
    struct fixture f;
};

static int setup(void **arg) {
    struct state *s = calloc(1, sizeof *s);
    s->store = fake_nfs_store_new();
    fixture_start(&s->f, s->store, NULL);
    *arg = s;
    return 0;
}

static int teardown(void **arg) {
    struct state *s = *arg;
    fixture_stop(&s->f);
    s->store = fake_nfs_store_free(s->store);
    free(s);
    return 0;
}

static const char *context_of(const struct volume_info *info, const char *key) {
    for (size_t i = 0; i < info->context_count; i++)
        if (strcmp(info->context[i].key, key) == 0)
            return info->context[i].value;
    return NULL;
}

static char *make(struct fixture *f, const char *name) {
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    if (fixture_create(f, name, NULL, NULL, &info, &err) != 0)
        fail_msg("create '%s': %s", name, err_text(&err));
    char *id = strdup(info.id);
    volume_info_done(&info);
    return id;
}

static int destroy(struct fixture *f, const char *id, struct err *err) {
    return volume_ops.destroy(f->volumes, &f->ctx, id, err);
}

static void create_makes_a_directory_and_an_id(void **arg) {
    struct state *s = *arg;
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    assert_int_equal(fixture_create(&s->f, "pvc-1", NULL, NULL, &info, &err), 0);
    assert_true(fixture_exists(&s->f, "pvc-1"));
    assert_int_equal(info.capacity_bytes, VOLUME_BYTES_DEFAULT);
    assert_string_equal(context_of(&info, "server"), FIXTURE_SERVER);
    assert_string_equal(context_of(&info, "share"), FIXTURE_SHARE);
    assert_string_equal(context_of(&info, "subDir"), "pvc-1");
    assert_string_equal(context_of(&info, "mountMode"), "auto");
    assert_true(strncmp(info.id, "v-", 2) == 0 && strcmp(info.id + 28, "@10.0.0.5/data") == 0);
    assert_int_equal(fixture_entries(&s->f, ".stowage/tmp"), 0);
    volume_info_done(&info);
}

static void create_costs_few_round_trips(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    char *first = make(&s->f, "first");
    long before = faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0);
    char *second = make(&s->f, "second");
    assert_int_equal(faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0) - before, 6);
    before = faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0);
    assert_int_equal(destroy(&s->f, second, &err), 0);
    assert_int_equal(faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0) - before, 7);
    free(first);
    free(second);
}

static void create_again_is_the_same_volume(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    char *id = make(&s->f, "pvc-1");
    fixture_restart(&s->f);
    char *again = make(&s->f, "pvc-1");
    assert_string_equal(id, again);
    assert_int_equal(fixture_create(&s->f, "pvc-1", "subDir", "elsewhere", &info, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "subDir"));
    assert_false(fixture_exists(&s->f, "elsewhere"));
    free(id);
    free(again);
}

static int create_sized(struct fixture *f, const char *name, int64_t required, int64_t limit, int64_t *ret,
                        struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = name,
                                            .required_bytes = required,
                                            .limit_bytes = limit,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 2}};
    struct volume_info info = {0};
    int r = volume_ops.create(f->volumes, &f->ctx, &request, &info, err);
    *ret = info.capacity_bytes;
    volume_info_done(&info);
    return r;
}

static void sizes_follow_the_request(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    int64_t bytes = 0;
    assert_int_equal(create_sized(&s->f, "exact", 12345678, 12345678, &bytes, &err), 0);
    assert_int_equal(bytes, 12345678);
    assert_int_equal(create_sized(&s->f, "exact", 2 * 12345678, 0, &bytes, &err), -EEXIST);
    assert_int_equal(create_sized(&s->f, "exact", 0, 12345677, &bytes, &err), -EEXIST);
    assert_int_equal(create_sized(&s->f, "limited", 0, VOLUME_BYTES_MIN + 1, &bytes, &err), 0);
    assert_int_equal(bytes, VOLUME_BYTES_MIN + 1);
    assert_int_equal(create_sized(&s->f, "small", 0, VOLUME_BYTES_MIN - 1, &bytes, &err), -ERANGE);
    assert_int_equal(create_sized(&s->f, "crossed", 2 * VOLUME_BYTES_MIN, VOLUME_BYTES_MIN, &bytes, &err), -ERANGE);
    assert_int_equal(create_sized(&s->f, "huge", INT64_MAX, INT64_MAX, &bytes, &err), 0);
    assert_int_equal(bytes, INT64_MAX);
    assert_false(fixture_exists(&s->f, "small"));
}

static void bad_requests_change_nothing(void **arg) {
    static const struct {
        const char *key, *value, *word;
    } rows[] = {
        {"subDir", "../up", "subDir"},
        {"subDir", "/abs", "absolute"},
        {"subDir", "a/../b", "subDir"},
        {"subDir", ".stowage/x", ".stowage"},
        {"sudDir", "x", "sudDir"},
        {"onDelete", "burn", "onDelete"},
        {"mountPermissions", "9", "mountPermissions"},
        {"uid", "-5", "uid"},
        {"subDir", "a//b", "subDir"},
        {"subDir", "${pvc.metadata.name}", "extra-create-metadata"},
    };
    struct state *s = *arg;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = ERR_NONE;
        struct volume_info info = {0};
        assert_int_equal(fixture_create(&s->f, "bad", rows[i].key, rows[i].value, &info, &err), -EINVAL);
        assert_non_null(strstr(err.msg, rows[i].word));
    }
    assert_int_equal(fixture_entries(&s->f, ""), 0); // not even .stowage
}

static void names_of_all_kinds_become_directories(void **arg) {
    struct state *s = *arg;
    char longest[513];
    memset(longest, 0, sizeof longest);
    for (int i = 0; i < 128; i++)
        memcpy(longest + 4 * i, "\xF0\x9F\x98\x80", 4);
    const char *names[] = {"a", "..", ".stowage", "with/slash", "ümlaut", longest};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *id = make(&s->f, names[i]);
        assert_true(strlen(id) <= CSI_ID_MAX);
        free(id);
    }
    assert_int_equal(fixture_entries(&s->f, ""), 7);
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 6);
}

static void destroy_moves_the_data_to_trash(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    char *id = make(&s->f, "pvc-1");
    fixture_make_file(&s->f, "pvc-1/file");
    assert_int_equal(destroy(&s->f, id, &err), 0);
    assert_false(fixture_exists(&s->f, "pvc-1"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/trash"), 1);
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 0);
    assert_int_equal(fixture_entries(&s->f, ".stowage/locks"), 0);
    assert_int_equal(s->f.work.trashed, 1);
    assert_int_equal(destroy(&s->f, id, &err), 0);
    free(id);
}

static void destroy_of_garbage_is_done(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    assert_int_equal(destroy(&s->f, "garbage", &err), 0);
    assert_int_equal(destroy(&s->f, "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@10.0.0.5/data", &err), 0);
    assert_int_equal(fixture_entries(&s->f, ""), 0);
    assert_int_equal(destroy(&s->f, "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@10.9.9.9/data", &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.msg, "10.9.9.9"));
}

static void create_id(struct fixture *f, const char *name, const char *key, const char *value, char **ret) {
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    if (fixture_create(f, name, key, value, &info, &err) != 0)
        fail_msg("create '%s': %s", name, err_text(&err));
    *ret = strdup(info.id);
    volume_info_done(&info);
}

static void archive_keeps_the_data_beside(void **arg) {
    struct state *s = *arg;
    struct volumes_options options = {.default_on_delete = ON_DELETE_ARCHIVE};
    struct err err = ERR_NONE;
    fixture_stop(&s->f);
    fixture_start(&s->f, s->store, &options);
    for (int i = 0; i < 2; i++) {
        char *id;
        create_id(&s->f, "v", "subDir", "team/a/data", &id);
        fixture_make_file(&s->f, "team/a/data/file");
        assert_int_equal(destroy(&s->f, id, &err), 0);
        free(id);
    }
    assert_true(fixture_exists(&s->f, "team/a/archived-data/file"));
    assert_false(fixture_exists(&s->f, "team/a/data"));
    assert_int_equal(fixture_entries(&s->f, "team/a"), 2);
}

static void retain_leaves_the_data(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    char *id;
    create_id(&s->f, "v", "onDelete", "retain", &id);
    assert_int_equal(destroy(&s->f, id, &err), 0);
    assert_true(fixture_exists(&s->f, "v"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 0);
    free(id);
}

static void shared_directories_outlive_one_volume(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    char *one, *two, *nested;
    create_id(&s->f, "one", "subDir", "common", &one);
    create_id(&s->f, "two", "subDir", "common", &two);
    create_id(&s->f, "nested", "subDir", "common/below", &nested);
    fixture_make_file(&s->f, "common/below/file");
    assert_int_equal(destroy(&s->f, one, &err), 0);
    assert_true(fixture_exists(&s->f, "common/below/file"));
    assert_int_equal(destroy(&s->f, two, &err), 0); // the nested one still uses it
    assert_true(fixture_exists(&s->f, "common/below/file"));
    assert_int_equal(destroy(&s->f, nested, &err), 0);
    assert_false(fixture_exists(&s->f, "common/below"));
    free(one);
    free(two);
    free(nested);
}

static int collect(const struct volume_info *info, void *arg) {
    struct str *out = arg;
    (void)str_printf(out, "%s%s ", info->id + 28, info->abnormal ? "!" : "");
    return 0;
}

static void list_is_sorted_and_tells_damage(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct str out = {0};
    char *one = make(&s->f, "one"), *two = make(&s->f, "two"), path[128];
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, NULL, collect, &out, &err), 0);
    assert_string_equal(str_text(&out), "@10.0.0.5/data @10.0.0.5/data ");
    str_done(&out);
    const char *first = strcmp(one, two) < 0 ? one : two;
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, first, collect, &out, &err), 0);
    assert_string_equal(str_text(&out), "@10.0.0.5/data ");
    str_done(&out);
    (void)snprintf(path, sizeof path, ".stowage/volumes/%.26s.json", one + 2);
    fixture_write_file(&s->f, path, "{\"version\":1,");
    fixture_restart(&s->f);
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, NULL, collect, &out, &err), 0);
    assert_non_null(strstr(str_text(&out), "!"));
    str_done(&out);
    assert_int_equal(destroy(&s->f, one, &err), -EBADMSG);
    assert_non_null(strstr(err.msg, path));
    struct volume_info info = {0};
    assert_int_equal(fixture_create(&s->f, "one", NULL, NULL, &info, &err), -EBADMSG);
    fixture_write_file(&s->f, path, "{\"version\":9,\"kind\":\"volume\",\"name\":\"one\"}");
    assert_int_equal(destroy(&s->f, one, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "newer"));
    free(one);
    free(two);
}

static void a_newer_layout_is_refused(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    fixture_write_file(&s->f, ".stowage/format", "{\"version\":2}");
    assert_int_equal(fixture_create(&s->f, "v", NULL, NULL, &info, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "newer"));
    assert_int_equal(fixture_entries(&s->f, ".stowage"), 1);
}

static int publish(struct fixture *f, const char *id, const char *node, enum access_mode mode, bool read_only,
                   struct err *err) {
    struct publish_request request = {
        .volume_id = id, .node_id = node, .capability = {.mode = mode}, .read_only = read_only};
    return volume_ops.publish(f->volumes, &f->ctx, &request, err);
}

static void publish_is_a_registry_with_limits(void **arg) {
    struct state *s = *arg;
    struct volume_node nodes[] = {{(char *)(uintptr_t) "n1", 2}, {(char *)(uintptr_t) "n2", 0}};
    struct volumes_options options = {.nodes = nodes, .node_count = 2};
    struct err err = ERR_NONE;
    fixture_stop(&s->f);
    fixture_start(&s->f, s->store, &options);
    char *a = make(&s->f, "a"), *b = make(&s->f, "b"), *c = make(&s->f, "c");
    enum access_mode many = ACCESS_MULTI_NODE_MULTI_WRITER, single = ACCESS_SINGLE_NODE_WRITER;
    assert_int_equal(publish(&s->f, a, "n9", many, false, &err), -ENOENT);
    assert_int_equal(publish(&s->f, "v-nonsense", "n1", many, false, &err), -ENOENT);
    assert_int_equal(publish(&s->f, a, "n1", many, false, &err), 0);
    assert_int_equal(publish(&s->f, a, "n1", many, false, &err), 0);
    assert_int_equal(publish(&s->f, a, "n1", many, true, &err), -EEXIST);
    assert_int_equal(publish(&s->f, a, "n2", many, false, &err), 0);
    assert_int_equal(publish(&s->f, b, "n1", single, false, &err), 0);
    assert_int_equal(publish(&s->f, b, "n2", single, false, &err), -EBUSY);
    assert_int_equal(publish(&s->f, c, "n1", many, false, &err), -EMFILE);
    assert_int_equal(destroy(&s->f, a, &err), -EBUSY);
    assert_int_equal(volume_ops.unpublish(s->f.volumes, &s->f.ctx, a, "n1", &err), 0);
    assert_int_equal(volume_ops.unpublish(s->f.volumes, &s->f.ctx, a, "n1", &err), 0);
    assert_int_equal(publish(&s->f, c, "n1", many, false, &err), 0);
    assert_int_equal(volume_ops.unpublish(s->f.volumes, &s->f.ctx, a, NULL, &err), 0);
    assert_int_equal(destroy(&s->f, a, &err), 0);
    free(a);
    free(b);
    free(c);
}

static void expand_grows_only(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    char *id = make(&s->f, "v");
    int64_t bytes = 0;
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, id, 2 * VOLUME_BYTES_DEFAULT, 0, &bytes, &err), 0);
    assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, id, VOLUME_BYTES_DEFAULT, 0, &bytes, &err), 0);
    assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, id, 1, VOLUME_BYTES_DEFAULT, &bytes, &err), -ERANGE);
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, "nothing", 1, 0, &bytes, &err), -ENOENT);
    free(id);
}

static void modify_takes_what_can_change(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    char *id = make(&s->f, "v");
    struct string_pair good[] = {{"onDelete", "retain"}, {"mountPermissions", "0770"}};
    struct string_pair bad[] = {{"onDelete", "retain"}, {"server", "other"}};
    assert_int_equal(volume_ops.modify(s->f.volumes, &s->f.ctx, id, &(struct string_map){bad, 2}, &err), -EINVAL);
    assert_int_equal(volume_ops.modify(s->f.volumes, &s->f.ctx, "none", &(struct string_map){good, 2}, &err), -ENOENT);
    assert_int_equal(volume_ops.modify(s->f.volumes, &s->f.ctx, id, &(struct string_map){good, 2}, &err), 0);
    assert_int_equal(destroy(&s->f, id, &err), 0);
    assert_true(fixture_exists(&s->f, "v"));
    free(id);
}

static int clone_of(struct fixture *f, const char *name, const char *source, struct volume_info *ret, struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = name,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 2},
                                            .source = CONTENT_VOLUME,
                                            .source_id = source};
    return volume_ops.create(f->volumes, &f->ctx, &request, ret, err);
}

static void clones_are_ready_when_whole(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    struct str out = {0};
    char *id = make(&s->f, "source");
    assert_int_equal(clone_of(&s->f, "c", "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@10.0.0.5/data", &info, &err), -ENOENT);
    assert_int_equal(clone_of(&s->f, "c", "garbage", &info, &err), -ENOENT);
    assert_false(fixture_exists(&s->f, "c"));
    fixture_make_file(&s->f, "filled/file"); // it must not mix with the copy
    assert_int_equal(clone_of(&s->f, "filled", id, &info, &err), -EEXIST);
    assert_true(fixture_exists(&s->f, "filled/file"));
    s->f.work.hold = true;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), -EAGAIN);
    assert_non_null(strstr(err.msg, "43 %"));
    assert_int_equal(destroy(&s->f, id, &err), -EBUSY); // it is being copied
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, NULL, collect, &out, &err), 0);
    assert_string_equal(str_text(&out), "@10.0.0.5/data "); // only the source
    str_done(&out);
    s->f.work.hold = false;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), 0);
    assert_true(fixture_exists(&s->f, "c/copied"));
    assert_int_equal(info.source, CONTENT_VOLUME);
    assert_string_equal(info.source_id, id);
    volume_info_done(&info);
    assert_int_equal(destroy(&s->f, id, &err), 0);
    free(id);
}

// One controller still sees the volume being copied, while another one has completed it, the source was deleted and
// the application emptied the volume. What is ready stays.
static void a_ready_clone_outlives_its_source(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    struct record *record cleanup(record_freep) = NULL;
    char key[HASH_ID_LEN + 1];
    char *id = make(&s->f, "source");
    hash_id("c", 1, key);
    s->f.work.hold = true;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), -EAGAIN);
    struct share *share cleanup(share_freep) = fixture_share(&s->f);
    assert_int_equal(store_get(share, SHARED_VOLUME, key, s->f.ctx.deadline_ns, &record, &err), 0);
    s->f.work.hold = false;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), 0);
    volume_info_done(&info);
    assert_int_equal(destroy(&s->f, id, &err), 0);
    struct nfs_call drop = {.op = NFS_REMOVE, .name = "copied"};
    assert_int_equal(share_walk(share, "c", s->f.ctx.deadline_ns, &drop.fh, NULL, &err), 0);
    assert_int_equal(share_call(share, &drop, "empty it", &err), 0);
    assert_int_equal(volume_copy_run(s->f.volumes, share, record, &s->f.ctx, &err), 0);
    assert_true(fixture_exists(&s->f, "c"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 1);
    free(id);
}

static bool left_at_once(void *arg) {
    ++*(int *)arg;
    return true;
}

static void nobody_waits_for_a_client_that_left(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    int asked = 0;
    char *id = make(&s->f, "source");
    s->f.work.hold = s->f.work.slow = true;
    s->f.ctx.cancelled = left_at_once;
    s->f.ctx.arg = &asked;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), -EAGAIN);
    assert_int_equal(s->f.work.waits, 1);
    assert_int_equal(asked, 1);
    free(id);
}

static void trouble_has_a_name_and_leaves_nothing(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    char *id = make(&s->f, "v");
    faulty_nfs_fail(s->f.nfs, FAULTY_OP, NFS_WRITE, 1, -ENOSPC);
    assert_int_equal(fixture_create(&s->f, "w", NULL, NULL, &info, &err), -ENOSPC);
    assert_non_null(strstr(err.msg, "10.0.0.5/data"));
    assert_false(fixture_exists(&s->f, "w"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/tmp"), 0);
    fake_nfs_set_denied(s->store, true);
    assert_int_equal(fixture_create(&s->f, "w", NULL, NULL, &info, &err), -EACCES);
    assert_non_null(strstr(err.msg, "no_root_squash"));
    fake_nfs_set_denied(s->store, false);
    faulty_nfs_hold(s->f.nfs, true);
    s->f.ctx.deadline_ns = clock_monotonic(&clock_system) + 50 * NS_PER_MS;
    assert_int_equal(destroy(&s->f, id, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.msg, "10.0.0.5/data"));
    faulty_nfs_hold(s->f.nfs, false);
    free(id);
}

static void capacity_is_the_share_s(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    struct capacity_info info = {0};
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    assert_int_equal(volume_ops.capacity(s->f.volumes, &s->f.ctx, &(struct string_map){0}, &info, &err), 0);
    assert_true(info.available_bytes > 0);
    assert_int_equal(volume_ops.capacity(s->f.volumes, &s->f.ctx, &(struct string_map){pairs, 2}, &info, &err), 0);
    assert_true(info.available_bytes > 0);
}

static void block_access_is_refused(void **arg) {
    struct state *s = *arg;
    struct err err = ERR_NONE;
    const char *flag = "bind";
    struct volume_capability block = {.block = true, .mode = ACCESS_SINGLE_NODE_WRITER};
    struct volume_capability xfs = {.mode = ACCESS_SINGLE_NODE_WRITER, .fs_type = "xfs"};
    struct volume_capability flags = {.mode = ACCESS_SINGLE_NODE_WRITER, .mount_flags = &flag, .mount_flag_count = 1};
    struct string_map none = {0};
    assert_int_equal(volume_ops.supports(s->f.volumes, &block, &none, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "block"));
    assert_int_equal(volume_ops.supports(s->f.volumes, &xfs, &none, &err), -EINVAL);
    assert_int_equal(volume_ops.supports(s->f.volumes, &flags, &none, &err), -EINVAL);
    flag = "nfsvers=4.1";
    assert_int_equal(volume_ops.supports(s->f.volumes, &flags, &none, &err), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(create_makes_a_directory_and_an_id),
        T(create_costs_few_round_trips),
        T(create_again_is_the_same_volume),
        T(sizes_follow_the_request),
        T(bad_requests_change_nothing),
        T(names_of_all_kinds_become_directories),
        T(destroy_moves_the_data_to_trash),
        T(destroy_of_garbage_is_done),
        T(archive_keeps_the_data_beside),
        T(retain_leaves_the_data),
        T(shared_directories_outlive_one_volume),
        T(list_is_sorted_and_tells_damage),
        T(a_newer_layout_is_refused),
        T(publish_is_a_registry_with_limits),
        T(expand_grows_only),
        T(modify_takes_what_can_change),
        T(clones_are_ready_when_whole),
        T(a_ready_clone_outlives_its_source),
        T(nobody_waits_for_a_client_that_left),
        T(trouble_has_a_name_and_leaves_nothing),
        T(capacity_is_the_share_s),
        T(block_access_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
