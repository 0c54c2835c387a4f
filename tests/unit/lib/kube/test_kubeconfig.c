// SPDX-License-Identifier: Apache-2.0
// kubeconfig files as kubectl, kind and k3s write them, and those that are refused with the remedy.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/kube/kubeconfig.h"
#include "lib/kube/yaml.h"

static char dir[40], path[64];

static int set_up(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/stowage-kubeconfig.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s/config", dir);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}
static struct kubeconfig *read_text(const char *text, const char *context, int result, const char *says) {
    struct kubeconfig *config = NULL;
    struct err err = ERR_NONE;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    assert_int_equal(kubeconfig_read(path, context, &config, &err), result);
    if (says && !strstr(err.msg, says))
        fail_msg("'%s' does not say '%s'", err.msg, says);
    return config;
}

#define HEAD "apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: here\n"
#define CONTEXTS                                                                                                       \
    "contexts:\n- context:\n    cluster: c\n    user: u\n    namespace: team\n  name: here\n"                          \
    "- {name: there, context: {cluster: c, user: v}}\n"
#define CLUSTER(more) "clusters:\n- cluster:\n    server: https://10.0.0.1:6443\n" more "  name: c\n"

static void certificates_in_the_file(void **state) {
    (void)state;
    struct kubeconfig *config cleanup(kubeconfig_freep) = read_text(
        HEAD CONTEXTS CLUSTER(
            "    certificate-authority-data: UEVNLUNB\n") "users:\n- name: u\n  user:\n    client-certificate-data: "
                                                          "UEVN\n    client-key-data: "
                                                          "\"S0VZ\"\n",
        NULL, 0, NULL);
    const struct kube_options *options = kubeconfig_options(config);
    assert_string_equal(options->url, "https://10.0.0.1:6443");
    assert_string_equal(options->ca_pem, "PEM-CA");
    assert_string_equal(options->client_cert_pem, "PEM");
    assert_string_equal(options->client_key_pem, "KEY");
    assert_null(options->token);
    assert_string_equal(kubeconfig_namespace(config), "team");
}

static void files_beside_it_and_another_context(void **state) {
    char wanted[80];
    (void)state;
    struct kubeconfig *config cleanup(kubeconfig_freep) =
        read_text(HEAD CONTEXTS CLUSTER(
                      "    certificate-authority: pki/ca.crt\n") "users:\n- {name: v, user: {tokenFile: /run/token, "
                                                                 "client-certificate: c.crt, client-key: c.key}}\n",
                  "there", 0, NULL);
    const struct kube_options *options = kubeconfig_options(config);
    (void)snprintf(wanted, sizeof wanted, "%s/pki/ca.crt", dir);
    assert_string_equal(options->ca_file, wanted);
    assert_string_equal(options->token_file, "/run/token");
    (void)snprintf(wanted, sizeof wanted, "%s/c.key", dir);
    assert_string_equal(options->client_key_file, wanted);
    assert_null(kubeconfig_namespace(config));
}

static void what_is_not_served_is_told_with_the_remedy(void **state) {
    (void)state;
    (void)read_text(HEAD CONTEXTS CLUSTER("") "users:\n- {name: u, user: {exec: {command: aws}}}\n", NULL, -EOPNOTSUPP,
                    "use a token");
    (void)read_text(
        HEAD CONTEXTS CLUSTER("    insecure-skip-tls-verify: true\n") "users: [{name: u, user: {token: t}}]\n", NULL,
        -EOPNOTSUPP, "certificate-authority");
    (void)read_text(HEAD CONTEXTS CLUSTER(""), NULL, -ENOENT, "user of context 'here'");
    (void)read_text(HEAD CONTEXTS "users: [{name: u, user: {token: t}}]\n", NULL, -ENOENT, "cluster of context 'here'");
    (void)read_text(HEAD CONTEXTS, "nowhere", -ENOENT, "no context 'nowhere'");
    (void)read_text("kind: Config\n", NULL, -ENOENT, "current-context");
    (void)read_text(
        HEAD CONTEXTS CLUSTER("    certificate-authority-data: '!!!'\n") "users: [{name: u, user: {token: t}}]\n", NULL,
        -EBADMSG, "no base64");
}

static void what_is_no_kubeconfig_is_refused(void **state) {
    static const char *const texts[] = {
        "",
        "a: [b",
        "- a\n- b\n",
        "a: 1\na: 2\n",
        "a: &x {b: c}\nd: *x\n",
        "just text",
        "\t- x: y",
        "? [a]\n: b\n",
        "a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: b}}}}}}}}}}}}}}}}}}}}}\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        (void)read_text(texts[i], NULL, -EBADMSG, NULL);
    struct kubeconfig *config = NULL;
    assert_int_equal(kubeconfig_read("/nowhere/config", NULL, &config, NULL), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(certificates_in_the_file),
        TEST(files_beside_it_and_another_context),
        TEST(what_is_not_served_is_told_with_the_remedy),
        TEST(what_is_no_kubeconfig_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
