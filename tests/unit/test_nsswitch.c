#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/nsswitch.h"

/* "f" for files, "d" for DNS; after it what ends the search there. */
static const char *steps_of(const char *text)
{
    static char steps[64];
    struct nsswitch nsswitch;
    size_t len = 0;

    nsswitch_read(&nsswitch, span_of(text));
    for (uint32_t i = 0; i < nsswitch.count; i++)
        len += (size_t)snprintf(steps + len, sizeof(steps) - len, "%s%s%s%s",
                                nsswitch.steps[i].source == SOURCE_FILES ? "f" : "d",
                                nsswitch.steps[i].returns & NAME_NOT_FOUND ? "-notfound" : "",
                                nsswitch.steps[i].returns & NAME_UNAVAILABLE ? "-unavail" : "",
                                nsswitch.steps[i].returns & NAME_TRY_AGAIN ? "-tryagain" : "");
    return steps;
}

static void sources_stand_in_the_order_of_the_hosts_line(void **state)
{
    assert_string_equal(steps_of("passwd: dns\nhosts: files dns\n"), "fd");
    assert_string_equal(steps_of("hosts:\tdns files # files dns"), "df");
    assert_string_equal(steps_of("hosts: files\n"), "f");
    assert_string_equal(steps_of("  hosts:dns\r\n"), "d");
    assert_string_equal(steps_of("hosts: dns dns files dns\n"), "df");
}

static void without_a_line_that_says_anything_it_is_files_and_dns(void **state)
{
    assert_string_equal(steps_of(""), "fd");
    assert_string_equal(steps_of("# hosts: dns\nnetworks: files\n"), "fd");
    assert_string_equal(steps_of("hosts:\n"), "fd");
    assert_string_equal(steps_of("hosts: ldap nis\n"), "fd");
}

static void resolve_stands_for_both_since_it_reads_the_hosts_file(void **state)
{
    assert_string_equal(steps_of("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n"),
                        "fd-notfound-tryagain");
    assert_string_equal(steps_of("hosts: resolve\n"), "fd");
    assert_string_equal(steps_of("hosts: files resolve [!UNAVAIL=return] dns\n"), "fd-notfound-tryagain");
}

static void actions_belong_to_the_source_before_them(void **state)
{
    assert_string_equal(steps_of("hosts: dns [NOTFOUND=return] files\n"), "d-notfoundf");
    assert_string_equal(steps_of("hosts: files[notfound=return]dns\n"), "f-notfoundd");
    assert_string_equal(steps_of("hosts: files mdns4_minimal [NOTFOUND=return] dns\n"), "fd");
    assert_string_equal(steps_of("hosts: dns [ TRYAGAIN=return UNAVAIL=return UNAVAIL=continue ] files\n"),
                        "d-tryagainf");
    assert_string_equal(steps_of("hosts: [NOTFOUND=return] files dns\n"), "fd");
    assert_string_equal(steps_of("hosts: files [SUCCESS=merge] dns [nonsense\n"), "fd");
    assert_string_equal(steps_of("hosts: files ["), "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_stand_in_the_order_of_the_hosts_line),
        cmocka_unit_test(without_a_line_that_says_anything_it_is_files_and_dns),
        cmocka_unit_test(resolve_stands_for_both_since_it_reads_the_hosts_file),
        cmocka_unit_test(actions_belong_to_the_source_before_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
