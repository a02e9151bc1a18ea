/* Endpoints: their texts. How they are compared: test_address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/endpoint.h"

static void assert_put(const struct endpoint *endpoint, const char *whole, const char *ip)
{
    char block[64];
    struct text text = text_over(block, sizeof(block));

    endpoint_put(&text, endpoint);
    assert_false(text.overflow);
    assert_true(span_eq(text_span(&text), span_of(whole)));
    text = text_over(block, sizeof(block));
    endpoint_put_ip(&text, endpoint);
    assert_true(span_eq(text_span(&text), span_of(ip)));
}

static void an_endpoint_is_written_as_it_is_read(void **state)
{
    struct endpoint endpoint = {.port = 8080};

    assert_true(endpoint_parse_ip(SPAN_LIT("127.0.0.1"), &endpoint));
    assert_put(&endpoint, "127.0.0.1:8080", "127.0.0.1");
    endpoint.port = 65535;
    assert_true(endpoint_parse_ip(SPAN_LIT("2001:db8::ff"), &endpoint));
    assert_put(&endpoint, "[2001:db8::ff]:65535", "2001:db8::ff");
    endpoint.port = 0;
    assert_true(endpoint_parse_ip(SPAN_LIT("::"), &endpoint));
    assert_put(&endpoint, "[::]:0", "::");
    endpoint = (struct endpoint){.family = ENDPOINT_UNIX, .path = "/run/x.sock"};
    assert_put(&endpoint, "unix:/run/x.sock", "");
}

static void a_text_too_long_for_its_block_overflows(void **state)
{
    struct endpoint endpoint = {.family = ENDPOINT_IPV4, .ip = {10, 0, 0, 1}, .port = 80};
    char block[8];
    struct text text = text_over(block, sizeof(block));

    endpoint_put(&text, &endpoint);
    assert_true(text.overflow);
}

static void what_is_no_ip_address_is_not_parsed(void **state)
{
    static const char *const texts[] = {
        "",         "1.2.3",     "1.2.3.4:80", "[::1]",
        "::1%eth0", "localhost", "1.2.3.4 ",   "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"};
    struct endpoint endpoint;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(endpoint_parse_ip(span_of(texts[i]), &endpoint));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_written_as_it_is_read),
        cmocka_unit_test(a_text_too_long_for_its_block_overflows),
        cmocka_unit_test(what_is_no_ip_address_is_not_parsed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
