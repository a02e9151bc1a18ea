/* Targets of requests to a forward proxy: two forms, one spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/proxy_target.h"

static struct proxy_target target;

static enum proxy_target_fault read_get(const char *uri, const char *authority)
{
    struct http1_head head = {
        .method_id = HTTP1_GET, .target = span_of(uri), .authority = span_of(authority)};

    return proxy_target_read(&head, &target);
}

static enum proxy_target_fault read_connect(const char *authority)
{
    struct http1_head head = {.method_id = HTTP1_CONNECT, .target = span_of(authority)};

    return proxy_target_read(&head, &target);
}

static void a_target_has_a_host_and_a_port(void **state)
{
    assert_int_equal(read_get("http://api.example.com/v1", "api.example.com"), PROXY_TARGET_OK);
    assert_string_equal(target.host, "api.example.com");
    assert_int_equal(target.port, 80);
    assert_false(target.is_ip);
    assert_int_equal(read_get("HTTP://a:8080/", "a:8080"), PROXY_TARGET_OK);
    assert_int_equal(target.port, 8080);
    assert_int_equal(read_connect("api.example.com:443"), PROXY_TARGET_OK);
    assert_int_equal(target.port, 443);
    assert_int_equal(target.host_len, 15);
}

static void hosts_have_one_spelling(void **state)
{
    assert_int_equal(read_connect("API.Example.COM.:443"), PROXY_TARGET_OK);
    assert_string_equal(target.host, "api.example.com");
    assert_int_equal(read_connect("under_score.x-y.com:1"), PROXY_TARGET_OK);
    assert_int_equal(read_connect("127.0.0.1:1"), PROXY_TARGET_OK);
    assert_true(target.is_ip);
    assert_int_equal(target.ip.port, 1);
    assert_int_equal(read_connect("[2001:db8::1]:65535"), PROXY_TARGET_OK);
    assert_string_equal(target.host, "2001:db8::1");
    assert_int_equal(target.ip.family, ENDPOINT_IPV6);
    assert_int_equal(read_connect("1.example.com:443"), PROXY_TARGET_OK);
    assert_int_equal(read_connect("a.0xbeef.com:443"), PROXY_TARGET_OK);
}

static void other_forms_are_refused(void **state)
{
    struct http1_head origin = {.method_id = HTTP1_GET, .target = SPAN_LIT("/v1"), .path = SPAN_LIT("/v1")};

    assert_int_equal(proxy_target_read(&origin, &target), PROXY_TARGET_FORM);
    assert_int_equal(read_get("https://a/", "a"), PROXY_TARGET_SCHEME);
    assert_string_equal(target.host, "a");
    assert_int_equal(read_connect("http://a:80/"), PROXY_TARGET_HOST);
    assert_int_equal(read_connect("/"), PROXY_TARGET_HOST);
    assert_int_equal(read_connect("*"), PROXY_TARGET_HOST);
    assert_int_equal(read_connect(""), PROXY_TARGET_HOST);
}

static void hosts_that_are_no_names_are_refused(void **state)
{
    static const char *const hosts[] = {
        "user@a", "user:pw@a",    "a..b",  ".a",   ".",   "..",  "a..",  "-a",
        "a-",     "a.-b.c",       "a%2eb", "a%00", "a,b", "a b", "a\\b", "a;b",
        "a+b",    "\xc3\xa9.com", "a/b",   "a?b",  "a#b", "a~b", "(a)",  "a!b",
    };
    char authority[200];

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        snprintf(authority, sizeof(authority), "%s:443", hosts[i]);
        if (read_connect(authority) != PROXY_TARGET_HOST)
            fail_msg("%s is taken", authority);
    }
}

static void addresses_in_other_spellings_are_refused_as_such(void **state)
{
    static const char *const hosts[] = {
        "127.1",    "0x7f.1",          "0177.0.0.1",  "2130706433", "127.0.0.1.",  "[::0]",     "[0::1]",
        "[::FFFF]", "[::ffff:7f00:1]", "[127.0.0.1]", "[]",         "[fe80::1%1]", "1.2.3.4.5", "a.b.1",
        "a.0x",     "[::1%]",          "256.1.1.1"};
    char authority[200];

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        snprintf(authority, sizeof(authority), "%s:443", hosts[i]);
        if (read_connect(authority) != PROXY_TARGET_ADDRESS)
            fail_msg("%s: %d", authority, (int)read_connect(authority));
    }
}

static void ports_are_numbers_and_connect_needs_one(void **state)
{
    static const char *const authorities[] = {"a",        "a:",     "a:0",    "a:65536", "a:99999",
                                              "a:000443", "a:-1",   "a:+1",   "a: 443",  "a:44 3",
                                              "a:x",      "a:0x50", "[::1]:", "[::1]",   "a:443:"};

    for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++)
        if (read_connect(authorities[i]) == PROXY_TARGET_OK)
            fail_msg("%s is taken", authorities[i]);
    assert_int_equal(read_connect("a:"), PROXY_TARGET_PORT);
    assert_int_equal(read_connect("a:80:443"), PROXY_TARGET_HOST);
    assert_int_equal(read_connect("a:00443"), PROXY_TARGET_OK);
    assert_int_equal(read_get("http://a:/", "a:"), PROXY_TARGET_PORT);
    assert_int_equal(read_get("http://a:0/", "a:0"), PROXY_TARGET_PORT);
}

static void names_are_as_long_as_dns_has_them(void **state)
{
    char label[65], name[300];

    memset(label, 'a', 64);
    label[63] = '\0';
    snprintf(name, sizeof(name), "%s.%s.%s.%.61s:1", label, label, label, label);
    assert_int_equal(read_connect(name), PROXY_TARGET_OK);
    assert_int_equal(target.host_len, 253);
    snprintf(name, sizeof(name), "%s.%s.%s.%.61s.:1", label, label, label, label);
    assert_int_equal(read_connect(name), PROXY_TARGET_OK);
    snprintf(name, sizeof(name), "%s.%s.%s.%.62s:1", label, label, label, label);
    assert_int_equal(read_connect(name), PROXY_TARGET_HOST);
    snprintf(name, sizeof(name), "a%s.com:1", label);
    assert_int_equal(read_connect(name), PROXY_TARGET_HOST);
}

static void a_host_is_written_as_a_field_has_it(void **state)
{
    char block[64];
    struct text text = text_over(block, sizeof(block));

    assert_int_equal(read_connect("[::1]:443"), PROXY_TARGET_OK);
    proxy_target_put_host(&text, &target);
    assert_int_equal(read_connect("A.b:443"), PROXY_TARGET_OK);
    proxy_target_put_host(&text, &target);
    assert_true(span_eq(text_span(&text), SPAN_LIT("[::1]a.b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_has_a_host_and_a_port),
        cmocka_unit_test(hosts_have_one_spelling),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(hosts_that_are_no_names_are_refused),
        cmocka_unit_test(addresses_in_other_spellings_are_refused_as_such),
        cmocka_unit_test(ports_are_numbers_and_connect_needs_one),
        cmocka_unit_test(names_are_as_long_as_dns_has_them),
        cmocka_unit_test(a_host_is_written_as_a_field_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
