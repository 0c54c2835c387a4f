// SPDX-License-Identifier: Apache-2.0
// What a pod may write into an inline volume, what becomes of it, and which shares the node's list lets through.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "node-plugin/inline_shares.h"
#include "node-plugin/inline_volume.h"

static const struct string_pair good[] = {{"server", "nas"}, {"share", "/exports/data"}};

// The good attributes and one more: the result, with the message.
static int parse_with(const char *key, const char *value, struct err *err) {
    struct string_pair pairs[] = {good[0], good[1], {key, value}};
    struct string_map map = {pairs, ARRAY_SIZE(pairs)};
    struct inline_volume volume cleanup(inline_volume_done) = {0};
    *err = ERR_NONE;
    return inline_volume_parse(&map, &volume, err);
}

static void assert_refused(const char *key, const char *value, const char *because) {
    struct err err;
    assert_int_equal(parse_with(key, value, &err), -EINVAL);
    if (!strstr(err.msg, because))
        fail_msg("%s=%s: '%s' does not say '%s'", key, value, err.msg, because);
}

// "key=value;…" of the context, in its order.
static void assert_context(const struct string_pair *pairs, size_t count, const char *expected) {
    struct string_map map = {pairs, count};
    struct inline_volume volume cleanup(inline_volume_done) = {0};
    struct str text cleanup_str = {0};
    struct err err = ERR_NONE;
    if (inline_volume_parse(&map, &volume, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < volume.context_count; i++)
        (void)str_printf(&text, "%s=%s;", volume.context[i].key, volume.context[i].value);
    assert_string_equal(str_text(&text), expected);
}

static void attributes_become_a_volume_context(void **state) {
    (void)state;
    assert_context(good, 2, "server=nas;share=/exports/data;mountMode=auto;");
    const struct string_pair all[] = {{"SERVER", "[fd00::5]"},
                                      {"Share", "/exports/data/"},
                                      {"mountfrom", "/datasets/x/"},
                                      {"mountMode", "fuse"},
                                      {"nfsPort", "12049"},
                                      {"mountPort", "0"},
                                      {"nfsVersion", "4"},
                                      {"connections", "2"},
                                      {"mountOptions", "nconnect=4,vers=3"},
                                      {"csi.storage.k8s.io/ephemeral", "true"},
                                      {"csi.storage.k8s.io/pod.name", "p"}};
    assert_context(all, ARRAY_SIZE(all),
                   "server=[fd00::5];share=/exports/data/;subDir=datasets/x/;mountMode=fuse;nfsPort=12049;"
                   "nfsVersion=4;connections=2;");
    const struct string_pair relative[] = {good[0], good[1], {"mountFrom", "datasets"}};
    assert_context(relative, 3, "server=nas;share=/exports/data;subDir=datasets;mountMode=auto;");
    const struct string_pair root[] = {good[0], {"share", "/"}, {"mountFrom", "/"}};
    assert_context(root, 3, "server=nas;share=/;mountMode=auto;");
}

static void what_is_unknown_or_of_a_claim_is_refused(void **state) {
    (void)state;
    assert_refused("mountFron", "/x", "known are: server, share, mountFrom, mountOptions");
    assert_refused("subDir", "x", "mountFrom");
    assert_refused("SUBDIR", "x", "mountFrom");
    assert_refused("onDelete", "retain", "never deletes");
    assert_refused("mountPermissions", "0777", "changes nothing");
    assert_refused("uid", "0", "changes nothing");
    assert_refused("size", "1Gi", "no size");
    assert_refused("nodeGroup", "a", "PersistentVolume");
    assert_refused("cacheMode", "ttl", "PersistentVolume");
    assert_refused("mountMode", "nfs", "auto, kernel, fuse");
    assert_refused("nfsVersion", "2", "give 3 or 4");
    struct err err = ERR_NONE;
    struct inline_volume volume;
    struct string_map lonely = {good, 1};
    assert_int_equal(inline_volume_parse(&lonely, &volume, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "'share' is missing"));
}

static void directories_stay_below_the_share(void **state) {
    (void)state;
    assert_refused("mountFrom", "..", "'..'");
    assert_refused("mountFrom", "/a/../../b", "'..'");
    assert_refused("mountFrom", "/a/.", "'.'");
    assert_refused("mountFrom", "/a//b", "'//'");
    assert_refused("mountFrom", "//a", "'//'");
    assert_refused("mountFrom", "/a\nb", "mountFrom");
    assert_refused("mountFrom", "/.stowage/trash", "belongs to the driver");
    assert_refused("mountFrom", "/a/.stowage", "belongs to the driver");
    assert_refused("share", "/exports/..", "'..'");
    assert_refused("share", "exports", "start with '/'");
    assert_refused("share", "/exports/.stowage/volumes", "belongs to the driver");
    assert_refused("server", "nas,ro", "no host name");
    assert_refused("server", "nas:/other", "server");
    struct err err;
    assert_int_equal(parse_with("mountFrom", "/.stowages/x..y", &err), 0);
}

static void only_known_mount_options(void **state) {
    (void)state;
    struct err err;
    assert_int_equal(parse_with("mountOptions", "ro,,soft,timeo=50,sec=krb5p", &err), 0);
    assert_refused("mountOptions", "ro,X-mount.mkdir", "X-mount.mkdir");
    assert_refused("mountOptions", "bind", "bind");
    assert_refused("mountOptions", "rom", "'rom'");
    assert_refused("mountOptions", "r", "'r'");
    assert_refused("mountOptions", "addr=10.0.0.6", "'addr'");
    assert_refused("mountOptions", "ro, soft", "space");
}

static bool allowed(const char *pattern, const char *server, const char *share, const char *from) {
    char *items[] = {"other:/nothing", (char *)(uintptr_t)pattern};
    struct field_list list = {items, 2};
    struct string_pair pairs[] = {{"server", server}, {"share", share}, {"subDir", from}};
    struct string_map context = {pairs, 3};
    struct volume_source source cleanup(volume_source_done) = {0};
    assert_int_equal(inline_shares_check(pattern, NULL), 0);
    assert_int_equal(volume_source_parse(&context, &source, NULL), 0);
    return inline_shares_allow(&list, &source, NULL) == 0;
}

static void the_list_of_shares(void **state) {
    (void)state;
    assert_true(allowed("*", "anything", "/at/all", ""));
    // The directory and what is below it, however share and mountFrom divide it.
    assert_true(allowed("nas:/exports/data", "nas", "/exports/data", ""));
    assert_true(allowed("nas:/exports/data/", "NAS", "/exports/data/", "x/y"));
    assert_true(allowed("nas:/exports/data", "nas", "/exports", "data/x"));
    assert_true(allowed("nas:/", "nas", "/", ""));
    assert_true(allowed("nas:/", "nas", "/exports", ""));
    assert_false(allowed("nas:/exports/data", "nas", "/exports", ""));
    assert_false(allowed("nas:/exports/data", "nas", "/exports/data2", ""));
    assert_false(allowed("nas:/exports/data", "nas", "/", "data"));
    assert_false(allowed("nas:/exports/data", "nas2", "/exports/data", ""));
    assert_false(allowed("nas:/exports/data", "10.0.0.5", "/exports/data", ""));
    // Patterns do not reach over a slash, nor from the server into the path.
    assert_true(allowed("*.example:/exports/*/shared", "nas.example", "/exports/a/shared", "x"));
    assert_false(allowed("*.example:/exports/*/shared", "nas.example", "/exports/a/b/shared", ""));
    assert_false(allowed("*.example:/exports/*/shared", "nas.example.org", "/exports/a/shared", ""));
    assert_true(allowed("[fd00::5]:/data", "fd00::5", "/data", ""));
    assert_true(allowed("[fd00::5]:/data", "[fd00::5]", "/data", ""));
    assert_false(allowed("[fd00::5]:/data", "f", "/data", ""));
}

// A server follows symbolic links in a share: what is below the allowed directory is not for the server to resolve.
static void a_share_below_the_allowed_one(void **state) {
    (void)state;
    assert_false(allowed("nas:/exports/data", "nas", "/exports/data/link", ""));
    assert_false(allowed("nas:/exports/*", "nas", "/exports/data/link/", "x"));
    assert_true(allowed("nas:/exports/*", "nas", "/exports/data/", "link/x"));
    char *items[] = {"nas:/exports"};
    struct field_list list = {items, 1};
    struct string_map context = {good, 2};
    struct volume_source source cleanup(volume_source_done) = {0};
    struct err err = ERR_NONE;
    assert_int_equal(volume_source_parse(&context, &source, NULL), 0);
    assert_int_equal(inline_shares_allow(&list, &source, &err), -EACCES);
    assert_non_null(strstr(err.msg, "the rest by mountFrom"));
}

static void nothing_is_allowed_by_default(void **state) {
    (void)state;
    struct string_map context = {good, 2};
    struct volume_source source cleanup(volume_source_done) = {0};
    assert_int_equal(volume_source_parse(&context, &source, NULL), 0);
    struct err err = ERR_NONE;
    assert_int_equal(inline_shares_allow(NULL, &source, &err), -EACCES);
    assert_non_null(strstr(err.msg, "nas:/exports/data are not allowed"));
    assert_int_equal(inline_shares_allow(&(struct field_list){0}, &source, NULL), -EACCES);
}

static void patterns_that_are_none(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "nas", "/exports", ":/exports", "nas:exports", "nas:/a,nas:/b", "nas:/a nas:/b", "nas:/a//b"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = ERR_NONE;
        if (inline_shares_check(bad[i], &err) != -EINVAL)
            fail_msg("'%s' is taken", bad[i]);
        assert_non_null(strstr(err.msg, "SERVER:/PATH"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_become_a_volume_context),
        cmocka_unit_test(what_is_unknown_or_of_a_claim_is_refused),
        cmocka_unit_test(directories_stay_below_the_share),
        cmocka_unit_test(only_known_mount_options),
        cmocka_unit_test(the_list_of_shares),
        cmocka_unit_test(a_share_below_the_allowed_one),
        cmocka_unit_test(nothing_is_allowed_by_default),
        cmocka_unit_test(patterns_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
