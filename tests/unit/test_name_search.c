#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/name_search.h"

/* What is asked for, one after the other, if each name ends with the outcome of its letter: n, a, s, t; the last repeats. */
static const char *asked(const char *file, const char *host, const char *outcomes, enum name_outcome *verdict)
{
    static char all[512];
    struct resolv_conf conf;
    struct name_search search;
    char name[NAME_BYTES];
    size_t len = 0;
    bool more;

    resolv_conf_read(&conf, span_of(file));
    name_search_init(&search, host);
    all[0] = '\0';
    for (more = name_search_first(&search, &conf, name); more;) {
        enum name_outcome outcome = *outcomes == 'n'   ? NAME_NO_SUCH
                                    : *outcomes == 'a' ? NAME_NO_ADDRESS
                                    : *outcomes == 's' ? NAME_SERVFAIL
                                                       : NAME_SILENT;

        outcomes += outcomes[1] != '\0';
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len != 0 ? " " : "", name);
        more = name_search_next(&search, &conf, outcome, name);
    }
    *verdict = search.verdict;
    return all;
}

static void expect(const char *file, const char *host, const char *outcomes, const char *names,
                   enum name_outcome verdict)
{
    enum name_outcome got;

    assert_string_equal(asked(file, host, outcomes, &got), names);
    assert_int_equal(got, verdict);
}

#define KUBERNETES "search shop.svc svc corp\noptions ndots:5\n"

static void a_name_with_enough_dots_is_tried_as_it_is_first(void **state)
{
    expect("search a b\n", "api.test", "n", "api.test api.test.a api.test.b", NAME_NO_SUCH);
    expect("search a b\n", "api", "n", "api.a api.b api", NAME_NO_SUCH);
    expect(KUBERNETES, "api.test", "n", "api.test.shop.svc api.test.svc api.test.corp api.test",
           NAME_NO_SUCH);
    expect("options ndots:0\nsearch a\n", "api", "n", "api api.a", NAME_NO_SUCH);
    expect("", "api", "n", "api", NAME_NO_SUCH);
}

static void a_name_that_ends_with_a_dot_is_whole(void **state)
{
    expect(KUBERNETES, "api.test.", "n", "api.test", NAME_NO_SUCH);
    expect(KUBERNETES, "api.", "s", "api", NAME_SERVFAIL);
}

static void the_root_in_the_list_is_the_name_itself(void **state)
{
    expect("search .\n", "api", "n", "api", NAME_NO_SUCH);
    expect("search . a.\n", "api", "n", "api api.a", NAME_NO_SUCH);
    expect("search a .\noptions ndots:2\n", "api.test", "n", "api.test.a api.test", NAME_NO_SUCH);
}

static void a_domain_whose_server_fails_is_passed_over(void **state)
{
    expect(KUBERNETES, "api.test", "snsn", "api.test.shop.svc api.test.svc api.test.corp api.test",
           NAME_SERVFAIL);
    expect(KUBERNETES, "api.test", "nan", "api.test.shop.svc api.test.svc api.test.corp api.test",
           NAME_NO_ADDRESS);
}

static void one_that_is_silent_ends_the_list(void **state)
{
    expect(KUBERNETES, "api.test", "ntn", "api.test.shop.svc api.test.svc api.test", NAME_NO_SUCH);
    expect("search a b\n", "api.test", "tn", "api.test api.test.a api.test.b", NAME_SILENT);
}

static void no_tld_query_spares_the_root_a_name_without_dots(void **state)
{
    expect("search a\noptions no-tld-query\n", "api", "n", "api.a", NAME_NO_SUCH);
    expect("options no-tld-query\n", "api", "n", "api", NAME_NO_SUCH);
}

static void names_that_are_too_long_are_passed_over(void **state)
{
    char host[251], expected[600];

    memset(host, 'a', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    snprintf(expected, sizeof(expected), "%s.b %s", host, host);
    expect("search longdomain b\n", host, "n", expected, NAME_NO_SUCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_with_enough_dots_is_tried_as_it_is_first),
        cmocka_unit_test(a_name_that_ends_with_a_dot_is_whole),
        cmocka_unit_test(the_root_in_the_list_is_the_name_itself),
        cmocka_unit_test(a_domain_whose_server_fails_is_passed_over),
        cmocka_unit_test(one_that_is_silent_ends_the_list),
        cmocka_unit_test(no_tld_query_spares_the_root_a_name_without_dots),
        cmocka_unit_test(names_that_are_too_long_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
