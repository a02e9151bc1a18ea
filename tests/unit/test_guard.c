/* The guard of the forward proxy: however an address is spelt, what only this host can reach is not dialled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/guard.h"
#include "http/proxy_target.h"

/* As a caller writes it in CONNECT. What is not taken for an address, or a name that is none, is not dialled either. */
static const char *const denied[] = {
    /* loopback and this host */
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "0.0.0.1",
    "0.255.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.1",
    "0177.0.0.1",
    "0177.0x0.0.01",
    "127.0.0.01",
    "127.0.0.0x1",
    "127.000.000.001",
    "00000127.0.0.1",
    "127.0.0.1.",
    "127.1.",
    "2130706433.",
    "0x7f000001.",
    "0x",
    "0x.0x.0x.0x",
    "4294967295",
    "4294967296",
    "127.0.0.256",
    "1.2.3",
    "127.0.0.1%00",
    "%31%32%37.0.0.1",
    "127.0.0.1 ",
    "127\xe3\x80\x82"
    "0\xe3\x80\x82"
    "0\xe3\x80\x82"
    "1",
    "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1",
    /* private and shared networks */
    "10.0.0.1",
    "10.255.255.255",
    "167772161",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "0xac100001",
    "192.168.0.1",
    "192.168.255.255",
    "0300.0250.0.1",
    "3232235521",
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.0.1",
    "192.0.0.192",
    /* metadata services, link-local */
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "100.100.100.200",
    "168.63.129.16",
    "[fd00:ec2::254]",
    /* multicast, reserved, broadcast */
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    /* IPv6, and what wraps IPv4 */
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::0.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[::ffff:8.8.8.8]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:127.0.0.1x]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[64:ff9b:1:2::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2002:a00:1::1]",
    "[2001::1]",
    "[2001:0:7f00:1::]",
    "[fc00::1]",
    "[fdff:ffff::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fe80::1%lo]",
    "[febf::1]",
    "[ff02::1]",
    "[ff0e::1]",
    "[::1",
    "::1",
    "[::1]]",
    "[127.0.0.1]",
    "[]",
};

static const char *const passed[] = {
    "1.1.1.1",         "8.8.8.8",
    "9.255.255.255",   "11.0.0.0",
    "100.63.255.255",  "100.128.0.0",
    "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0",
    "172.15.255.255",  "172.32.0.0",
    "192.0.1.0",       "192.167.255.255",
    "192.169.0.0",     "198.17.255.255",
    "198.20.0.0",      "223.255.255.255",
    "168.63.129.15",   "168.63.129.17",
    "192.0.2.1",       "[2606:4700:4700::1111]",
    "[2001:1::1]",     "[2001:db8::1]",
    "[2003::1]",       "[fbff::1]",
    "[fe00::1]",       "[fec0::1]",
    "[64:ff9a::1]",    "[64:ff9b:2::1]",
    "[0:1::1]",
};

static bool is_dialled(const struct guard *guard, const char *host)
{
    char authority[128];
    struct proxy_target target;

    snprintf(authority, sizeof(authority), "%s:443", host);
    return proxy_target_read_authority(span_of(authority), &target) == PROXY_TARGET_OK && target.is_ip &&
           guard_judge(guard, &target.ip) == GUARD_PASSES;
}

static void no_spelling_of_a_denied_address_is_dialled(void **state)
{
    const struct guard guard = {0};

    assert_true(sizeof(denied) / sizeof(denied[0]) >= 60);
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
        if (is_dialled(&guard, denied[i]))
            fail_msg("%s is dialled", denied[i]);
}

static void neighbours_of_the_denied_ranges_are_dialled(void **state)
{
    const struct guard guard = {0};

    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        if (!is_dialled(&guard, passed[i]))
            fail_msg("%s is not dialled", passed[i]);
}

static struct ip_range range_of(const char *text)
{
    struct ip_range range;

    assert_int_equal(ip_range_read(span_of(text), &range), IP_RANGE_OK);
    return range;
}

static void what_is_lifted_is_dialled_and_nothing_beside_it(void **state)
{
    struct ip_range lifted[] = {range_of("10.1.0.0/16"), range_of("fd12::/16"), range_of("192.168.7.9")};
    const struct guard guard = {.lifted = lifted, .lifted_count = 3};

    assert_true(is_dialled(&guard, "10.1.0.0"));
    assert_true(is_dialled(&guard, "10.1.255.255"));
    assert_false(is_dialled(&guard, "10.0.255.255"));
    assert_false(is_dialled(&guard, "10.2.0.0"));
    assert_true(is_dialled(&guard, "[fd12::1]"));
    assert_false(is_dialled(&guard, "[fd13::1]"));
    assert_true(is_dialled(&guard, "192.168.7.9"));
    assert_false(is_dialled(&guard, "192.168.7.8"));
    assert_true(is_dialled(&guard, "1.1.1.1"));
}

static void a_mapped_address_is_denied_though_the_address_in_it_is_lifted(void **state)
{
    struct ip_range lifted[] = {range_of("127.0.0.0/8"), range_of("0.0.0.0/0"), range_of("::/0")};
    const struct guard guard = {.lifted = lifted, .lifted_count = 2},
                       all = {.lifted = lifted, .lifted_count = 3};

    assert_true(is_dialled(&guard, "127.0.0.1"));
    assert_false(is_dialled(&guard, "[::ffff:127.0.0.1]"));
    assert_false(is_dialled(&all, "[::ffff:127.0.0.1]"));
    assert_true(is_dialled(&all, "[::1]"));
}

static struct endpoint endpoint_of(const char *ip, uint16_t port)
{
    struct endpoint endpoint = {0};

    assert_true(endpoint_parse_ip(span_of(ip), &endpoint));
    endpoint.port = port;
    return endpoint;
}

static void curfews_own_listeners_are_denied_whatever_is_lifted(void **state)
{
    struct ip_range lifted[] = {range_of("127.0.0.0/8"), range_of("::/0"), range_of("0.0.0.0/8")};
    struct endpoint mine = endpoint_of("127.0.0.1", 9600), everywhere = endpoint_of("0.0.0.0", 9601);
    struct endpoint path = {.family = ENDPOINT_UNIX, .path = "/run/x.sock"};
    const struct endpoint *listeners[] = {&path, &mine, &everywhere};
    const struct guard_own own = {listeners, 3};
    const struct guard guard = {.lifted = lifted, .lifted_count = 3, .own = &own};
    struct endpoint address;

    assert_int_equal(guard_judge(&guard, &mine), GUARD_DENIES);
    address = endpoint_of("127.0.0.1", 9601);
    assert_int_equal(guard_judge(&guard, &address), GUARD_ASKS);
    address = endpoint_of("1.1.1.1", 9601);
    assert_int_equal(guard_judge(&guard, &address), GUARD_ASKS);
    address = endpoint_of("127.0.0.2", 9600);
    assert_int_equal(guard_judge(&guard, &address), GUARD_PASSES);
    address = endpoint_of("0.0.0.0", 9600);
    assert_int_equal(guard_judge(&guard, &address), GUARD_DENIES);
    address = endpoint_of("::", 9601);
    assert_int_equal(guard_judge(&guard, &address), GUARD_DENIES);
    address = endpoint_of("0.0.0.0", 9602);
    assert_int_equal(guard_judge(&guard, &address), GUARD_PASSES);
    address = endpoint_of("127.0.0.1", 9602);
    assert_int_equal(guard_judge(&guard, &address), GUARD_PASSES);
    address = endpoint_of("10.0.0.1", 9600);
    assert_int_equal(guard_judge(&guard, &address), GUARD_DENIES);
}

static void ranges_are_read_as_they_are_meant(void **state)
{
    struct ip_range range;

    assert_int_equal(range_of("10.1.0.0/16").bits, 112);
    assert_int_equal(range_of("10.1.2.3").bits, 128);
    assert_int_equal(range_of("0.0.0.0/0").bits, 96);
    assert_int_equal(range_of("::/0").bits, 0);
    assert_int_equal(ip_range_read(SPAN_LIT("10.1.2.3/16"), &range), IP_RANGE_HOST_BITS);
    assert_int_equal(ip_range_read(SPAN_LIT("10.1.0.0/33"), &range), IP_RANGE_BAD_LENGTH);
    assert_int_equal(ip_range_read(SPAN_LIT("10.1.0.0/"), &range), IP_RANGE_BAD_LENGTH);
    assert_int_equal(ip_range_read(SPAN_LIT("fd00::/129"), &range), IP_RANGE_BAD_LENGTH);
    assert_int_equal(ip_range_read(SPAN_LIT("10.1/16"), &range), IP_RANGE_NO_ADDRESS);
    assert_int_equal(ip_range_read(SPAN_LIT("corp"), &range), IP_RANGE_NO_ADDRESS);
    assert_int_equal(ip_range_read(SPAN_LIT(""), &range), IP_RANGE_NO_ADDRESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spelling_of_a_denied_address_is_dialled),
        cmocka_unit_test(neighbours_of_the_denied_ranges_are_dialled),
        cmocka_unit_test(what_is_lifted_is_dialled_and_nothing_beside_it),
        cmocka_unit_test(a_mapped_address_is_denied_though_the_address_in_it_is_lifted),
        cmocka_unit_test(curfews_own_listeners_are_denied_whatever_is_lifted),
        cmocka_unit_test(ranges_are_read_as_they_are_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
