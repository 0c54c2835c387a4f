// SPDX-License-Identifier: Apache-2.0
// Ids, locations, parameters and directories of the shared class.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "csi/shared_volume.h"

static const char *const good_locations[] = {
    "10.0.0.5/exports/data", "nfs.example.org/", "[fd00::5]:12049:12050+3/export", "h:2050/x", "h+4/a b/ü",
};

static void locations_survive_the_round_trip(void **arg) {
    (void)arg;
    for (size_t i = 0; i < ARRAY_SIZE(good_locations); i++) {
        struct share_location location cleanup(share_location_done) = {0};
        char text[CSI_ID_MAX + 1];
        assert_int_equal(share_location_parse(good_locations[i], &location, NULL), 0);
        assert_int_equal(share_location_format(&location, text, NULL), 0);
        assert_string_equal(text, good_locations[i]);
    }
}

static void wrong_locations_are_refused(void **arg) {
    static const char *const bad[] = {
        "",
        "/x",
        "host",
        "host:/x",
        "host:0/x",
        "host:70000/x",
        "host:1:2:3/x",
        "host+5/x",
        "host/a/../b",
        "host/a//b",
        "host/a/",
        "[::1/x",
        "[zz]/x",
        "ho st/x",
        "host+3",
        "host:99999999/x",
    };
    (void)arg;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct share_location location = {0};
        struct err err = ERR_NONE;
        if (share_location_parse(bad[i], &location, &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(err.msg, "SERVER"));
    }
}

static void ids_tell_kind_key_and_share(void **arg) {
    struct shared_id id cleanup(shared_id_done) = {0};
    struct share_location location cleanup(share_location_done) = {0};
    char key[HASH_ID_LEN + 1], text[CSI_ID_MAX + 1];
    (void)arg;
    hash_id("pvc-1", 5, key);
    assert_int_equal(share_location_parse("10.0.0.5:2050/data", &location, NULL), 0);
    assert_int_equal(shared_id_format(SHARED_SNAPSHOT, key, &location, text, NULL), 0);
    assert_int_equal(shared_id_parse(text, &id, NULL), 0);
    assert_int_equal(id.kind, SHARED_SNAPSHOT);
    assert_string_equal(id.key, key);
    assert_string_equal(id.location.server, "10.0.0.5");
    assert_string_equal(id.location.path, "/data");
    assert_int_equal(id.location.nfs_port, 2050);
}

static void garbage_is_no_id(void **arg) {
    static const char *const bad[] = {
        "",
        "v",
        "v-",
        "x-aaaaaaaaaaaaaaaaaaaaaaaaaa@h/x",
        "v-aaaaaaaaaaaaaaaaaaaaaaaaa@h/x",
        "v-aaaaaaaaaaaaaaaaaaaaaaaaaA@h/x",
        "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@",
        "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@h",
        "v-aaaaaaaaaaaaaaaaaaaaaaaaaa#h/x",
    };
    char longest[CSI_ID_MAX + 3];
    struct shared_id id = {0};
    (void)arg;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(shared_id_parse(bad[i], &id, NULL), -EINVAL);
    (void)snprintf(longest, sizeof longest, "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@h/%0100d", 0);
    assert_int_equal(shared_id_parse(longest, &id, NULL), -EINVAL);
}

static void a_share_that_does_not_fit_is_refused(void **arg) {
    struct share_location location cleanup(share_location_done) = {0};
    char text[256], id[CSI_ID_MAX + 1];
    (void)arg;
    for (int len = 90; len <= 100; len++) {
        share_location_done(&location);
        (void)snprintf(text, sizeof text, "h/%0*d", len - 2, 0);
        assert_int_equal(share_location_parse(text, &location, NULL), 0);
        int r = shared_id_format(SHARED_VOLUME, "aaaaaaaaaaaaaaaaaaaaaaaaaa", &location, id, NULL);
        assert_int_equal(r, len <= CSI_ID_MAX - HASH_ID_LEN - 3 ? 0 : -EINVAL);
    }
}

static int parse(struct string_pair *pairs, size_t count, struct shared_parameters *ret, struct err *err) {
    return shared_parameters_parse(&(struct string_map){pairs, count}, ret, err);
}

static void parameters_are_matched_without_case(void **arg) {
    struct string_pair pairs[] = {
        {"SERVER", "[fd00::5]"},
        {"Share", "/data/"},
        {"onDELETE", "Archive"},
        {"MOUNTpermissions", "0770"},
        {"csi.storage.k8s.io/fstype", "nfs"},
        {"nfsVersion", "4"},
    };
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    (void)arg;
    assert_int_equal(parse(pairs, ARRAY_SIZE(pairs), &p, NULL), 0);
    assert_string_equal(p.server, "fd00::5");
    assert_string_equal(p.share, "/data");
    assert_int_equal(p.on_delete, ON_DELETE_ARCHIVE);
    assert_int_equal(p.mount_permissions, 0770);
    assert_int_equal(p.uid, -1);
}

static void wrong_parameters_are_named(void **arg) {
    static const struct string_pair bad[] = {
        {"sahre", "/x"},   {"share", "x"},         {"share", "/a/../b"},        {"server", "h/x"},
        {"server", "h:1"}, {"nfsVersion", "2"},    {"mountPermissions", "999"}, {"connections", "17"},
        {"nfsPort", "-1"}, {"mountMode", "magic"},
    };
    (void)arg;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct string_pair pairs[] = {{"server", "h"}, {"share", "/x"}, bad[i]};
        struct shared_parameters p = {0};
        struct err err = ERR_NONE;
        if (parse(pairs, 3, &p, &err) != -EINVAL)
            fail_msg("%s=%s was taken", bad[i].key, bad[i].value);
        assert_non_null(strstr(err.msg, bad[i].key));
    }
    struct string_pair lonely = {"server", "h"};
    struct shared_parameters p = {0};
    assert_int_equal(parse(&lonely, 1, &p, NULL), -EINVAL);
}

static int resolve(const char *sub_dir, const char *pvc, const char *name, char *ret, size_t size) {
    struct shared_parameters p = {.sub_dir = (char *)(uintptr_t)sub_dir,
                                  .pvc_name = (char *)(uintptr_t)pvc,
                                  .pvc_namespace = (char *)(uintptr_t) "ns"};
    char *text = NULL;
    int r = shared_sub_dir_resolve(&p, name, &text, NULL);
    (void)snprintf(ret, size, "%s", r == 0 ? text : "");
    free(text);
    return r;
}

static void templates_become_directories(void **arg) {
    char out[512];
    (void)arg;
    assert_int_equal(
        resolve("${pvc.metadata.namespace}/${pvc.metadata.name}-${pv.metadata.name}", "claim", "pv", out, sizeof out),
        0);
    assert_string_equal(out, "ns/claim-pv");
    assert_int_equal(resolve(NULL, NULL, "pv", out, sizeof out), 0);
    assert_string_equal(out, "pv");
    assert_int_equal(resolve("price$5", NULL, "pv", out, sizeof out), 0);
    assert_string_equal(out, "price$5");
    assert_int_equal(resolve(NULL, NULL, "a/b", out, sizeof out), 0);
    assert_true(hash_is_id(out));
}

static void directories_cannot_escape(void **arg) {
    static const char *const bad[] = {"..",   "a/..", "./a", "/a", "a/", "a//b", ".stowage", ".stowage/volumes",
                                      "${x}", "a\nb", "\xff"};
    char out[512], component[300];
    (void)arg;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (resolve(bad[i], "claim", "pv", out, sizeof out) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(resolve("${pvc.metadata.name}", "../up", "pv", out, sizeof out), -EINVAL);
    (void)snprintf(component, sizeof component, "%0256d", 0);
    assert_int_equal(resolve(component, NULL, "pv", out, sizeof out), -EINVAL);
    component[255] = '\0';
    assert_int_equal(resolve(component, NULL, "pv", out, sizeof out), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locations_survive_the_round_trip),
        cmocka_unit_test(wrong_locations_are_refused),
        cmocka_unit_test(ids_tell_kind_key_and_share),
        cmocka_unit_test(garbage_is_no_id),
        cmocka_unit_test(a_share_that_does_not_fit_is_refused),
        cmocka_unit_test(parameters_are_matched_without_case),
        cmocka_unit_test(wrong_parameters_are_named),
        cmocka_unit_test(templates_become_directories),
        cmocka_unit_test(directories_cannot_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
