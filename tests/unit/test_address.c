#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/address.h"

static void addresses_are_read(void **state)
{
    struct endpoint a;

    assert_null(address_parse("127.0.0.1:8080", &a));
    assert_int_equal(a.family, ENDPOINT_IPV4);
    assert_memory_equal(a.ip, "\x7f\0\0\x01", 4);
    assert_int_equal(a.port, 8080);
    assert_string_equal(a.text, "127.0.0.1:8080");

    assert_null(address_parse("8080", &a));
    assert_int_equal(a.family, ENDPOINT_IPV4);
    assert_memory_equal(a.ip, "\x7f\0\0\x01", 4);
    assert_int_equal(a.port, 8080);

    assert_null(address_parse("localhost:0", &a));
    assert_int_equal(a.family, ENDPOINT_IPV4);
    assert_memory_equal(a.ip, "\x7f\0\0\x01", 4);
    assert_int_equal(a.port, 0);

    assert_null(address_parse("[2001:db8::ff]:65535", &a));
    assert_int_equal(a.family, ENDPOINT_IPV6);
    assert_memory_equal(a.ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\xff", 16);
    assert_int_equal(a.port, 65535);

    assert_null(address_parse("unix:/run/curfew/x.sock", &a));
    assert_int_equal(a.family, ENDPOINT_UNIX);
    assert_string_equal(a.path, "/run/curfew/x.sock");
}

#define NOT_AN_ADDRESS                                                                                       \
    "not an address; write for example 8080, 127.0.0.1:8080, \"[::1]:8080\" or unix:/run/curfew.sock"
#define ALL_ADDRESSES                                                                                        \
    "for every address of the machine write 0.0.0.0:8080 (IPv4) or \"[::]:8080\" (IPv6); for this machine "  \
    "alone, 8080"
#define NO_SCHEME                                                                                            \
    "curfew listens on an address, without a scheme and a path; write for example 127.0.0.1:8080"

static void what_is_no_address_is_explained(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", NOT_AN_ADDRESS},
        {"localhost", NOT_AN_ADDRESS},
        {"127.0.0.1", "the port is missing; write for example 127.0.0.1:8080"},
        {"[::1]", NOT_AN_ADDRESS},
        {"80 80", NOT_AN_ADDRESS},
        {"-1", NOT_AN_ADDRESS},
        {"65536", "the port must be a number from 0 to 65535"},
        {"99999999999999999999", "the port must be a number from 0 to 65535"},
        {":8080", ALL_ADDRESSES},
        {"*:8080", ALL_ADDRESSES},
        {"*", ALL_ADDRESSES},
        {"http://127.0.0.1:8080", NO_SCHEME},
        {"https://localhost", NO_SCHEME},
        {"tcp://127.0.0.1:8080", "an address has no tcp: before it; write for example 127.0.0.1:8080"},
        {"/run/x.sock", "the path of a unix socket has unix: before it, as in unix:/run/curfew.sock"},
        {"[::ffff:127.0.0.1]:80", "an IPv4 address is written as one, as in 127.0.0.1:8080"},
        {"::1:8080", "an IPv6 address is written in brackets, as in [::1]:8080"},
        {"[127.0.0.1]:80", "the host must be an IP address or localhost"},
        {"[::g]:80", "the host must be an IP address or localhost"},
        {"example.com:80", "the host must be an IP address or localhost"},
        {"127.1:80", "the host must be an IP address or localhost"},
        {"256.0.0.1:80", "the host must be an IP address or localhost"},
        {"127.0.0.1:", "the port must be a number from 0 to 65535"},
        {"127.0.0.1:65536", "the port must be a number from 0 to 65535"},
        {"127.0.0.1:+80", "the port must be a number from 0 to 65535"},
        {"127.0.0.1:http", "the port must be a number from 0 to 65535"},
        {"unix:run/x", "the path of a unix socket starts with /"},
        {"unix:", "the path of a unix socket starts with /"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct endpoint a;
        const char *why = address_parse(cases[i].text, &a);

        if (!why || strcmp(why, cases[i].why) != 0)
            fail_msg("\"%s\": %s", cases[i].text, why ? why : "taken");
    }
}

static void a_socket_path_fits_into_its_structure(void **state)
{
    char text[120] = "unix:";
    struct endpoint a;

    memset(text + 5, '/', 107);
    assert_null(address_parse(text, &a));
    text[112] = 'x';
    assert_string_equal(address_parse(text, &a), "the path of a unix socket has at most 107 bytes");
}

static bool is_local(const char *text)
{
    struct endpoint a;

    assert_null(address_parse(text, &a));
    return endpoint_is_local(&a);
}

static void loopback_and_unix_are_local(void **state)
{
    assert_true(is_local("127.0.0.1:1"));
    assert_true(is_local("127.255.1.2:1"));
    assert_true(is_local("[::1]:1"));
    assert_true(is_local("unix:/x"));
    assert_false(is_local("0.0.0.0:1"));
    assert_false(is_local("128.0.0.1:1"));
    assert_false(is_local("[::]:1"));
    assert_false(is_local("[::2]:1"));
}

static bool is_same(const char *text, const char *other)
{
    struct endpoint a, b;

    assert_null(address_parse(text, &a));
    assert_null(address_parse(other, &b));
    return endpoint_is_same(&a, &b);
}

static void two_sockets_can_not_have_one_address(void **state)
{
    assert_true(is_same("127.0.0.1:1", "localhost:1"));
    assert_true(is_same("[::1]:1", "[0:0::1]:1"));
    assert_true(is_same("unix:/a", "unix:/a"));
    assert_false(is_same("unix:/a", "unix:/b"));
    assert_false(is_same("127.0.0.1:1", "127.0.0.1:2"));
    assert_false(is_same("127.0.0.1:1", "127.0.0.2:1"));
    assert_false(is_same("127.0.0.1:0", "127.0.0.1:0"));
    assert_false(is_same("127.0.0.1:1", "[::1]:1"));
}

static bool overlap(const char *text, const char *other)
{
    struct endpoint a, b;

    assert_null(address_parse(text, &a));
    assert_null(address_parse(other, &b));
    assert_int_equal(endpoint_overlaps(&a, &b), endpoint_overlaps(&b, &a));
    return endpoint_overlaps(&a, &b);
}

static void all_addresses_of_a_family_are_in_the_way_of_each(void **state)
{
    assert_true(overlap("0.0.0.0:80", "127.0.0.1:80"));
    assert_true(overlap("0.0.0.0:80", "0.0.0.0:80"));
    assert_true(overlap("127.0.0.1:80", "localhost:80"));
    assert_true(overlap("[::]:80", "[::1]:80"));
    assert_true(overlap("unix:/run/x", "unix:/run/x"));
    assert_true(overlap("unix:/run/x", "unix://run/./x"));
    assert_false(overlap("unix:/run/x", "unix:/run/x/y"));
    assert_false(overlap("unix:/run/x", "unix:/run/xy"));
    assert_false(overlap("0.0.0.0:80", "127.0.0.1:81"));
    assert_false(overlap("127.0.0.1:80", "127.0.0.2:80"));
    assert_false(overlap("0.0.0.0:80", "[::]:80"));
    assert_false(overlap("[::]:80", "127.0.0.1:80"));
    assert_false(overlap("0.0.0.0:0", "127.0.0.1:0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(what_is_no_address_is_explained),
        cmocka_unit_test(a_socket_path_fits_into_its_structure),
        cmocka_unit_test(loopback_and_unix_are_local),
        cmocka_unit_test(two_sockets_can_not_have_one_address),
        cmocka_unit_test(all_addresses_of_a_family_are_in_the_way_of_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
