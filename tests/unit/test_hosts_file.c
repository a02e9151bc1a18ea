#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "core/hosts_file.h"

static const char file[] = "127.0.0.1 localhost # and localhost4\n"
                           "  \t192.0.2.7\tAPI.test  alias # ours\r\n"
                           "# 192.0.2.8 api.test\n"
                           "192.0.2.9\n"
                           "\n"
                           "nonsense api.test\n"
                           "fe80::1%eth0 api.test\n"
                           "2001:db8::7 api.test\n"
                           "192.0.2.10 dotted.test.\n"
                           "192.0.2.11 last.test";

static void finds(const char *name, const char *first, uint32_t count)
{
    struct ip found[4], expected;
    uint32_t n = hosts_file_find(span_of(file), span_of(name), found, 4);

    assert_int_equal(n, count);
    if (count == 0)
        return;
    assert_true(ip_read(span_of(first), &expected));
    assert_memory_equal(&found[0], &expected, sizeof(expected));
}

static void all_lines_with_the_name_count_whatever_its_case(void **state)
{
    struct ip one;

    finds("api.test", "192.0.2.7", 2);
    finds("ALIAS", "192.0.2.7", 1);
    finds("last.test", "192.0.2.11", 1);
    assert_int_equal(hosts_file_find(span_of(file), SPAN_LIT("api.test"), &one, 1), 1);
}

static void what_is_no_name_of_a_line_is_not_found(void **state)
{
    finds("localhost4", NULL, 0);
    finds("192.0.2.9", NULL, 0);
    finds("test", NULL, 0);
    finds("", NULL, 0);
    finds("#", NULL, 0);
}

static void a_dot_at_the_end_makes_another_name(void **state)
{
    finds("api.test.", NULL, 0);
    finds("dotted.test", NULL, 0);
    finds("dotted.test.", "192.0.2.10", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_lines_with_the_name_count_whatever_its_case),
        cmocka_unit_test(what_is_no_name_of_a_line_is_not_found),
        cmocka_unit_test(a_dot_at_the_end_makes_another_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
