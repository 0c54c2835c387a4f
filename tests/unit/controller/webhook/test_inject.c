// SPDX-License-Identifier: Apache-2.0
// Pods before and after: those of pods/NAME.json become pods/NAME.golden.json, and nothing twice; what does not ask stays as it is; what asks
// for something that cannot be is told what to do.
#include "tests/support/cm.h"
#include "tests/support/json_patch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/webhook/inject.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

#define PODS "tests/unit/controller/webhook/pods"

static const struct inject_settings settings = {
    .image = "registry/stowage:1",
    .pull_policy = "IfNotPresent",
    .store_url = "http://stowage-store.stowage:3500",
    .audience = "stowage-store",
    .cpu_request = "10m",
    .memory_request = 8 << 20,
    .memory_limit = 64 << 20,
};

static struct json *parse(const char *text) {
    struct json *ret = NULL;
    assert_int_equal(json_parse(text, strlen(text), 1 << 20, &ret, NULL), 0);
    return ret;
}

static struct json *read_pod(const char *name) {
    char *text cleanup_free = NULL;
    size_t len;
    int dir cleanup_close = open(PODS, O_RDONLY | O_DIRECTORY);
    assert_int_equal(file_read(dir, name, 1 << 20, &text, &len), 0);
    return parse(text);
}

static struct json *injected(const struct json *pod) {
    struct json *patch cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(inject_pod(&settings, pod, "team-a", &patch, &err), 0);
    assert_non_null(patch);
    return json_patched(pod, patch);
}

static void assert_same(const struct json *got, const struct json *expected) {
    if (json_same(got, expected))
        return;
    char *text cleanup_free = json_dump(got, true);
    (void)fprintf(stderr, "got:\n%s\n", text); // print_error cuts it
    fail();
}

static void assert_left(const struct json *pod) {
    struct json *patch = NULL;
    assert_int_equal(inject_pod(&settings, pod, "team-a", &patch, NULL), 0);
    assert_null(patch);
}

static void becomes(const char *name) {
    char before[64], after[64];
    (void)snprintf(before, sizeof before, "%s.json", name);
    (void)snprintf(after, sizeof after, "%s.golden.json", name);
    struct json *pod cleanup(json_freep) = read_pod(before), *golden cleanup(json_freep) = read_pod(after);
    struct json *got cleanup(json_freep) = injected(pod);
    assert_same(got, golden);
    assert_left(got); // reinvocation
}

static void a_plain_pod_gets_a_sidecar(void **state) {
    (void)state;
    becomes("plain");
}

static void what_containers_have_stays(void **state) {
    (void)state;
    becomes("others");
}

static void keys_are_files_where_they_are_asked_for(void **state) {
    (void)state;
    becomes("files");
}

static void a_container_that_came_later_is_served_too(void **state) {
    static const char later[] =
        "[{\"op\":\"add\",\"path\":\"/spec/containers/-\",\"value\":{\"name\":\"late\",\"image\":\"x\"}}]";
    (void)state;
    struct json *pod cleanup(json_freep) = read_pod("plain.json");
    struct json *first cleanup(json_freep) = injected(pod), *add cleanup(json_freep) = parse(later);
    struct json *grown cleanup(json_freep) = json_patched(first, add), *second cleanup(json_freep) = injected(grown);
    const struct json *spec = json_get(second, "spec"), *containers = json_get(spec, "containers");
    assert_int_equal(json_length(json_get(spec, "initContainers")), 1);
    assert_int_equal(json_length(json_get(spec, "volumes")), 2);
    assert_same(json_get(json_at(containers, 1), "env"), json_get(json_at(containers, 0), "env"));
    assert_same(json_get(json_at(containers, 1), "volumeMounts"), json_get(json_at(containers, 0), "volumeMounts"));
}

static void who_does_not_ask_is_left_alone(void **state) {
    static const char *const pods[] = {
        "{}",
        "{\"metadata\":{},\"spec\":{\"containers\":[{\"name\":\"a\"}],\"hostNetwork\":true}}",
        "{\"metadata\":{\"annotations\":{\"stowage.dev/inject-port\":\"x\"}},\"spec\":{}}",
        "{\"metadata\":{\"annotations\":{\"stowage.dev/inject\":\"false\",\"stowage.dev/inject-prot\":\"1\"}},"
        "\"spec\":{\"hostNetwork\":true}}",
        "{\"metadata\":[],\"spec\":7}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
        struct json *pod cleanup(json_freep) = parse(pods[i]);
        assert_left(pod);
    }
}

// The annotations; the rest of `containers` and what is behind it
static void refused(const char *annotations, const char *spec, const char *message) {
    char *text cleanup_free =
        mem_printf("{\"metadata\":{\"annotations\":{%s}},\"spec\":{\"containers\":[{\"name\":\"app\",\"ports\":[{"
                   "\"containerPort\":8080}]}%s}}",
                   annotations, *spec ? spec : "]");
    struct json *pod cleanup(json_freep) = parse(text), *patch = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(inject_pod(&settings, pod, "team-a", &patch, &err), -EINVAL);
    assert_null(patch);
    if (!strstr(err.msg, message))
        print_error("'%s' is not in: %s\n", message, err.msg);
    assert_non_null(strstr(err.msg, message));
}
#define YES "\"stowage.dev/inject\":\"true\""
static void files_refused(const char *annotation, const char *value, const char *message) {
    char *text cleanup_free = mem_printf(YES ",\"stowage.dev/inject-files%s\":\"%s\"", annotation, value);
    refused(text, "", message);
}

static void what_cannot_be_is_refused_with_the_remedy(void **state) {
    (void)state;
    refused("\"stowage.dev/inject\":\"yes\"", "", "give true or false");
    refused("\"stowage.dev/inject\":\"\"", "", "give true or false");
    refused(YES ",\"stowage.dev/inject-port\":\"80\"", "", "1024");
    refused(YES ",\"stowage.dev/inject-port\":\"http\"", "", "1024");
    refused(YES ",\"stowage.dev/inject-cache\":\"much\"", "", "stowage.dev/inject-cache");
    refused(YES ",\"stowage.dev/inject-cache\":\"2Gi\"", "", "stowage.dev/inject-cache");
    refused(YES ",\"stowage.dev/inject-local-links\":\"1\"", "", "give true or false");
    refused(YES ",\"stowage.dev/inject-log-level\":\"loud\"", "", "warning");
    refused(YES ",\"stowage.dev/inject-prot\":\"3500\"", "", "known are");
    files_refused("", "Settings", "give NAMESPACE");
    files_refused("", "settings:ro", "give NAMESPACE");
    files_refused("", "settings=", "give one such as /etc/settings");
    files_refused("", "settings=etc", "give one such as /etc/settings");
    files_refused("", "settings=/", "give one such as /etc/settings");
    files_refused("", "settings=/a/../b", "give one such as /etc/settings");
    files_refused("", "settings=/a/..", "give one such as /etc/settings");
    files_refused("", "settings=/a:b", "give one such as /etc/settings");
    files_refused("", "settings=/run/lepton/x", "has other files");
    files_refused("", "settings=/proc", "has other files");
    files_refused("", "settings,settings", "side by side");
    files_refused("", "a=/etc/a,b=/etc/a/b", "side by side");
    files_refused("-max-bytes", "1", "stowage.dev/inject-files-max-bytes");
    files_refused("-max-bytes", "1Gi", "stowage.dev/inject-files-max-bytes");
    files_refused("-notify", "http://127.0.0.1:80/", "say which");
    files_refused("-notify\":\"http://10.0.0.1:80/\",\"stowage.dev/inject-files", "a",
                  "give http://127.0.0.1:PORT/PATH");
    refused(YES ",\"stowage.dev/inject-port\":\"8080\"", "", "by the annotation stowage.dev/inject-port");
    refused(YES, "],\"hostNetwork\":true", "remove hostNetwork");
    refused(YES, "],\"os\":{\"name\":\"windows\"}", "Windows");
    refused(YES, ",{\"name\":\"stowage-sidecar\"}]", "call it otherwise");
}

static void memory_may_end_anywhere(void **state) {
    struct json *pod cleanup(json_freep) = read_pod("files.json");
    (void)state;
    for (long n = 1, counted = n; n <= counted; n++) {
        struct json *patch cleanup(json_freep) = NULL;
        (void)mem_fail_nth(n);
        int r = inject_pod(&settings, pod, "team-a", &patch, NULL);
        counted = mem_fail_nth(0);
        assert_true(r == -ENOMEM || r == 0);
        assert_true((r == 0) == (patch != NULL));
        assert_true(n < 100000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_pod_gets_a_sidecar),
        cmocka_unit_test(what_containers_have_stays),
        cmocka_unit_test(keys_are_files_where_they_are_asked_for),
        cmocka_unit_test(a_container_that_came_later_is_served_too),
        cmocka_unit_test(who_does_not_ask_is_left_alone),
        cmocka_unit_test(what_cannot_be_is_refused_with_the_remedy),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
