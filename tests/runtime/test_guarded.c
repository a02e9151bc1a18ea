/* Which addresses are curfew's own listeners, where only the system knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/guarded.h"

#define PORT 9600

static struct endpoint endpoint_of(const char *ip)
{
    struct endpoint endpoint = {0};

    assert_true(endpoint_parse_ip(span_of(ip), &endpoint));
    endpoint.port = PORT;
    return endpoint;
}

static bool is_dialled(const struct guard *guard, const char *ip, uint16_t port)
{
    struct endpoint endpoint = endpoint_of(ip);
    union dns_address address = dns_address_of(&endpoint);

    return guarded_may_dial(guard, &address, port);
}

static void a_listener_on_all_addresses_is_found_at_each_of_this_host(void **state)
{
    static const char *const ours[] = {"127.0.0.1", "127.0.0.2", "127.255.1.1", "0.0.0.0", "::"};
    struct ip_range lifted[2];
    struct endpoint everywhere[] = {endpoint_of("0.0.0.0"), endpoint_of("::")};

    assert_int_equal(ip_range_read(SPAN_LIT("0.0.0.0/0"), &lifted[0]), IP_RANGE_OK);
    assert_int_equal(ip_range_read(SPAN_LIT("::/0"), &lifted[1]), IP_RANGE_OK);
    for (size_t of = 0; of < 2; of++) {
        const struct endpoint *listeners[] = {&everywhere[of]};
        const struct guard_own own = {listeners, 1};
        const struct guard guard = {.lifted = lifted, .lifted_count = 2, .own = &own};

        for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
            assert_false(is_dialled(&guard, ours[i], PORT));
            assert_true(is_dialled(&guard, ours[i], PORT + 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_on_all_addresses_is_found_at_each_of_this_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
