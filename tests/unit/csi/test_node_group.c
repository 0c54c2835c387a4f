// SPDX-License-Identifier: Apache-2.0
// Settings of node-group volumes: what is taken, what is refused with which remedy, and that nothing is lost on the way from
// a class over a volume context to the node.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "csi/shared_volume.h"
#include "lib/base/str.h"

static int parse(const struct string_pair *more, size_t count, struct shared_parameters *ret, struct err *err) {
    struct string_pair pairs[16] = {{"server", "h"}, {"share", "/x"}};
    memcpy(pairs + 2, more, count * sizeof *more);
    return shared_parameters_parse(&(struct string_map){pairs, count + 2}, ret, err);
}
#define LIST(...)                                                                                                      \
    (const struct string_pair[]){__VA_ARGS__},                                                                         \
        sizeof((const struct string_pair[]){__VA_ARGS__}) / sizeof(struct string_pair)

static int append(const char *name, const char *value, void *arg) {
    return str_printf(arg, "%s=%s;", name, value);
}

static void settings_of_a_class_reach_the_node(void **state) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    struct str text cleanup_str = {0};
    (void)state;
    assert_int_equal(parse(LIST({"NODEGROUP", "gpu-a"}, {"cacheMode", "TTL"}, {"cacheTtl", "90"}, {"cacheSize", "10Gi"},
                                {"warmUp", "/index,shards/0/"}),
                           &p, NULL),
                     0);
    assert_string_equal(p.group.name, "gpu-a");
    assert_int_equal(p.group.cache_mode, CACHE_MODE_TTL);
    assert_int_equal(p.group.cache_ttl, 90);
    assert_int_equal(p.group.cache_size, 10LL << 30);
    assert_int_equal(node_group_each(&p.group, append, &text), 0);
    assert_string_equal(str_text(&text),
                        "nodeGroup=gpu-a;cacheMode=ttl;cacheTtl=90;cacheSize=10737418240;warmUp=/index,shards/0/;");
}

static int collect(const char *name, const char *value, void *arg) {
    return node_group_set(arg, name, value, NULL);
}

static void the_same_settings_are_equal(void **state) {
    struct shared_parameters a cleanup(shared_parameters_done) = {0}, b cleanup(shared_parameters_done) = {0};
    struct node_group copy cleanup(node_group_done) = {0};
    (void)state;
    assert_int_equal(parse(LIST({"nodeGroup", "g"}, {"cacheMode", "immutable"}), &a, NULL), 0);
    assert_int_equal(parse(LIST({"nodeGroup", "g"}), &b, NULL), 0);
    assert_false(node_group_equal(&a.group, &b.group));
    assert_int_equal(node_group_each(&a.group, collect, &copy), 0);
    assert_true(node_group_equal(&a.group, &copy));
    assert_int_equal(node_group_check(&copy, NULL), 0);
    // Saying the default is not another volume.
    assert_int_equal(node_group_set(&b.group, "cacheMode", "strict", NULL), 0);
    struct node_group plain cleanup(node_group_done) = {0};
    assert_int_equal(node_group_set(&plain, "nodeGroup", "g", NULL), 0);
    assert_true(node_group_equal(&plain, &b.group));
}

static void a_volume_without_a_group_has_no_settings(void **state) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    struct str text cleanup_str = {0};
    (void)state;
    assert_int_equal(parse(LIST({"mountMode", "kernel"}), &p, NULL), 0);
    assert_null(p.group.name);
    assert_int_equal(node_group_each(&p.group, append, &text), 0);
    assert_string_equal(str_text(&text), "");
}

static void what_is_wrong_is_refused_with_a_remedy(void **state) {
    static const struct {
        struct string_pair pairs[3];
        const char *said;
    } bad[] = {
        {{{"cacheMode", "strict"}}, "name the group by nodeGroup"},
        {{{"cacheSize", "1Gi"}}, "nodeGroup"},
        {{{"warmUp", "/a"}}, "nodeGroup"},
        {{{"originPath", "/mnt/x"}}, "nodeGroup"},
        {{{"nodeGroup", ""}}, "label"},
        {{{"nodeGroup", "-a"}}, "label"},
        {{{"nodeGroup", "a b"}}, "label"},
        {{{"nodeGroup", "a/b"}}, "label"},
        {{{"nodeGroup", "a123456789b123456789c123456789d123456789e123456789f123456789g123"}}, "label"},
        {{{"nodeGroup", "g"}, {"mountMode", "kernel"}}, "mountMode"},
        {{{"nodeGroup", "g"}, {"cacheMode", "lazy"}}, "strict, ttl, immutable"},
        {{{"nodeGroup", "g"}, {"cacheTtl", "60"}}, "cacheMode: ttl"},
        {{{"nodeGroup", "g"}, {"cacheTtl", "0"}}, "cacheTtl"},
        {{{"nodeGroup", "g"}, {"cacheSize", "1.5Gi"}}, "such as 10Gi"},
        {{{"nodeGroup", "g"}, {"warmUp", "a,,b"}}, "empty path"},
        {{{"nodeGroup", "g"}, {"warmUp", ""}}, "empty path"},
        {{{"nodeGroup", "g"}, {"warmUp", "/a/../b"}}, "'..'"},
        {{{"nodeGroup", "g"}, {"warmUp", "a,/b//c"}}, "'//'"},
        {{{"nodeGroup", "g"}, {"originPath", "/mnt/x"}}, "origin: mount"},
        {{{"nodeGroup", "g"}, {"originName", "x"}}, "origin: mount"},
        {{{"nodeGroup", "g"}, {"origin", "mount"}}, "either originPath"},
        {{{"nodeGroup", "g"}, {"origin", "s3"}}, "nfs, mount"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct shared_parameters p = {0};
        struct err err = ERR_NONE;
        size_t count = 0;
        while (count < 3 && bad[i].pairs[count].key)
            count++;
        if (parse(bad[i].pairs, count, &p, &err) != -EINVAL)
            fail_msg("%zu: %s was taken", i, bad[i].pairs[0].key);
        if (!strstr(err.msg, bad[i].said))
            fail_msg("%zu: %s", i, err.msg);
    }
}

static int parse_origin(const struct string_pair *pairs, size_t count, struct shared_parameters *ret, struct err *err) {
    return shared_parameters_parse(&(struct string_map){pairs, count}, ret, err);
}
#define MOUNTED                                                                                                        \
    {"nodeGroup", "g"}, {"origin", "mount"}, {                                                                         \
        "originPath", "/mnt/lustre"                                                                                    \
    }

static void a_mounted_origin_takes_the_place_of_a_server(void **state) {
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    struct share_location location cleanup(share_location_done) = {0}, again cleanup(share_location_done) = {0};
    char id[CSI_ID_MAX + 1];
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(parse_origin(LIST(MOUNTED), &p, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "originName"));
    assert_int_equal(parse_origin(LIST(MOUNTED, {"originName", "lustre"}, {"server", "h"}), &p, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "server"));
    assert_int_equal(parse_origin(LIST(MOUNTED, {"originName", "lustre"}, {"originType", "lustre"}), &p, &err),
                     -EINVAL);
    assert_int_equal(parse_origin(LIST(MOUNTED, {"originName", "lustre"}, {"share", "/projects/"}), &p, &err), 0);
    assert_int_equal(shared_parameters_location(&p, &location, NULL), 0);
    assert_null(location.server);
    assert_int_equal(shared_id_format(SHARED_VOLUME, "aaaaaaaaaaaaaaaaaaaaaaaaaa", &location, id, NULL), 0);
    assert_string_equal(id, "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@mount=lustre/projects");
    struct shared_id parsed cleanup(shared_id_done) = {0};
    assert_int_equal(shared_id_parse(id, &parsed, NULL), 0);
    assert_string_equal(parsed.location.origin, "lustre");
    assert_string_equal(parsed.location.path, "/projects");
    assert_int_equal(share_location_copy(&parsed.location, &again), 0);
    assert_string_equal(again.origin, "lustre");
}

static void origins_have_plain_names(void **state) {
    static const char *const bad[] = {"mount=/x",  "mount=",      "mount=a",      "mount=a/",
                                      "mount=A/x", "mount=a b/x", "mount=a/../x", "mount=-a/x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct share_location location cleanup(share_location_done) = {0};
        int r = share_location_parse(bad[i], &location, NULL);
        if (i == 3 ? r != 0 : r != -EINVAL) // the whole of an origin is a share
            fail_msg("'%s' gives %d", bad[i], r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_of_a_class_reach_the_node),
        cmocka_unit_test(the_same_settings_are_equal),
        cmocka_unit_test(a_volume_without_a_group_has_no_settings),
        cmocka_unit_test(what_is_wrong_is_refused_with_a_remedy),
        cmocka_unit_test(a_mounted_origin_takes_the_place_of_a_server),
        cmocka_unit_test(origins_have_plain_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
