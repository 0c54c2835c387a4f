// SPDX-License-Identifier: Apache-2.0
// Which address a lost connection is made to again.
#include "lib/nfs/net.h"

#include <arpa/inet.h>

#include "tests/support/cm.h"

static struct sockaddr_storage ipv4(const char *text, uint16_t port) {
    struct sockaddr_storage address = {.ss_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr), 1);
    net_set_port(&address, port);
    return address;
}

static struct sockaddr_storage ipv6(const char *text, uint16_t port) {
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&address)->sin6_addr), 1);
    net_set_port(&address, port);
    return address;
}

static void test_server_stays(void **state) {
    (void)state;
    struct sockaddr_storage address = ipv4("192.0.2.2", 2049), before = address;
    struct net_addresses found = {.items = {ipv6("2001:db8::1", 0), ipv4("192.0.2.2", 0)}, .count = 2};
    net_choose_address(&found, &address);
    assert_memory_equal(&address, &before, sizeof address);
    found.count = 0; // the name was not resolved
    net_choose_address(&found, &address);
    assert_memory_equal(&address, &before, sizeof address);
}

static void test_server_moved(void **state) {
    (void)state;
    struct sockaddr_storage address = ipv4("192.0.2.2", 20049), want4 = ipv4("192.0.2.7", 20049);
    struct net_addresses found = {.items = {ipv4("192.0.2.7", 0), ipv4("192.0.2.8", 0)}, .count = 2};
    net_choose_address(&found, &address);
    assert_memory_equal(&address, &want4, sizeof address); // the port stays
    struct sockaddr_storage want6 = ipv6("2001:db8::1", 20049);
    found = (struct net_addresses){.items = {ipv6("2001:db8::1", 0)}, .count = 1};
    net_choose_address(&found, &address);
    assert_memory_equal(&address, &want6, sizeof address);
}

static void test_addresses_are_not_looked_up(void **state) {
    (void)state;
    assert_null(net_lookup_start("192.0.2.1"));
    assert_null(net_lookup_start("[2001:db8::1]"));
    struct net_addresses found = {0};
    struct err err = ERR_NONE;
    assert_int_equal(net_resolve("[2001:db8::1]", 1, &found, &err), 0);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.items[0].ss_family, AF_INET6);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_server_stays), cmocka_unit_test(test_server_moved),
                                       cmocka_unit_test(test_addresses_are_not_looked_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
