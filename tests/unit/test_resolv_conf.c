#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/resolv_conf.h"

static struct resolv_conf conf;

static const char *search_of(void)
{
    static char text[256];
    size_t len = 0;

    text[0] = '\0';
    for (uint32_t at = 0; at < conf.search_len; at += (uint32_t)strlen(conf.search + at) + 1)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ", conf.search + at);
    return text;
}

static void servers_are_addresses_in_their_order(void **state)
{
    resolv_conf_read(&conf, SPAN_LIT("nameserver 192.0.2.1 # first\n"
                                     "; nameserver 192.0.2.2\n"
                                     " nameserver 192.0.2.3\n"
                                     "nameserver\n"
                                     "nameserver a.test\n"
                                     "nameserver fe80::1%eth0\n"
                                     "nameservers 192.0.2.4\n"
                                     "nameserver\t2001:db8::1\n"));
    assert_int_equal(conf.server_count, 2);
    assert_string_equal(conf.servers[0], "192.0.2.1");
    assert_string_equal(conf.servers[1], "2001:db8::1");
    assert_int_equal(conf.ndots, 1);
    assert_false(conf.has_search);
}

static void there_are_eight_servers_at_most(void **state)
{
    char text[512] = "";

    for (int i = 0; i < 12; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "nameserver 192.0.2.%d\n", i);
    resolv_conf_read(&conf, span_of(text));
    assert_int_equal(conf.server_count, RESOLV_SERVERS_MAX);
    assert_string_equal(conf.servers[7], "192.0.2.7");
}

static void the_last_of_search_and_domain_holds(void **state)
{
    resolv_conf_read(&conf, SPAN_LIT("domain a.test\nsearch b.test\tc.test.  .\n"));
    assert_string_equal(search_of(), "b.test c.test. . ");
    resolv_conf_read(&conf, SPAN_LIT("search b.test c.test\ndomain a.test b.test"));
    assert_string_equal(search_of(), "a.test ");
    resolv_conf_read(&conf, SPAN_LIT("search\n"));
    assert_string_equal(search_of(), "");
    assert_true(conf.has_search);
}

static void the_machines_domain_is_searched_if_nothing_else_is(void **state)
{
    resolv_conf_read(&conf, SPAN_LIT(""));
    resolv_conf_set_host(&conf, SPAN_LIT("host"));
    assert_false(conf.has_search);
    resolv_conf_set_host(&conf, SPAN_LIT("host.corp.test"));
    assert_string_equal(search_of(), "corp.test ");
    resolv_conf_read(&conf, SPAN_LIT("search a.test\n"));
    resolv_conf_set_host(&conf, SPAN_LIT("host.corp.test"));
    assert_string_equal(search_of(), "a.test ");
}

static void options_are_read(void **state)
{
    resolv_conf_read(&conf, SPAN_LIT("options ndots:5 rotate timeout:1\noptions use-vc edns0\n"));
    assert_int_equal(conf.ndots, 5);
    assert_true(conf.rotate && conf.use_vc && conf.edns0);
    assert_false(conf.no_aaaa || conf.no_tld_query);
    resolv_conf_set_options(&conf, SPAN_LIT("ndots:99 no-aaaa no-tld-query ndots:x ndots:"));
    assert_int_equal(conf.ndots, 15);
    assert_true(conf.no_aaaa && conf.no_tld_query);
}

static void a_list_that_is_too_long_is_cut_between_names(void **state)
{
    static char text[2 * RESOLV_SEARCH_BYTES] = "search";

    while (strlen(text) + 20 < sizeof(text))
        strcat(text, " domain.test");
    resolv_conf_read(&conf, span_of(text));
    assert_int_equal(conf.search_len % sizeof("domain.test"), 0);
    assert_true(conf.search_len > RESOLV_SEARCH_BYTES - sizeof("domain.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_addresses_in_their_order),
        cmocka_unit_test(there_are_eight_servers_at_most),
        cmocka_unit_test(the_last_of_search_and_domain_holds),
        cmocka_unit_test(the_machines_domain_is_searched_if_nothing_else_is),
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(a_list_that_is_too_long_is_cut_between_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
