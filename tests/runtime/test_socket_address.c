/* Addresses of sockets: to an endpoint and back. */
#include "support.h"

#include <string.h>

#include "runtime/socket_address.h"

static void assert_same_again(const struct endpoint *endpoint, socklen_t len, const char *expected)
{
    union socket_address address;
    struct endpoint again;
    char block[64];
    struct text text = text_over(block, sizeof(block));

    assert_int_equal(socket_address_fill(&address, endpoint), len);
    assert_true(socket_address_read(&address.any, &again));
    assert_true(endpoint_is_equal(endpoint, &again));
    socket_address_put(&text, &address.any);
    assert_true(span_eq(text_span(&text), span_of(expected)));
}

static void an_endpoint_goes_into_an_address_and_comes_out(void **state)
{
    struct endpoint v4 = {.family = ENDPOINT_IPV4, .ip = {192, 0, 2, 1}, .port = 443};
    struct endpoint v6 = {.family = ENDPOINT_IPV6, .ip = {[15] = 1}, .port = 8080};
    struct endpoint path = {.family = ENDPOINT_UNIX, .path = "/run/x.sock"};

    assert_same_again(&v4, sizeof(struct sockaddr_in), "192.0.2.1:443");
    assert_same_again(&v6, sizeof(struct sockaddr_in6), "[::1]:8080");
    assert_same_again(&path, sizeof(struct sockaddr_un), "unix:/run/x.sock");
}

static void an_address_of_no_family_is_not_read(void **state)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct endpoint endpoint;
    char block[64];
    struct text text = text_over(block, sizeof(block));

    assert_false(socket_address_read(&none, &endpoint));
    socket_address_put(&text, &none);
    assert_int_equal(text.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_goes_into_an_address_and_comes_out),
        cmocka_unit_test(an_address_of_no_family_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
