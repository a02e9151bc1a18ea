/* Which URIs are of the API's own origin, and what is left of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/location.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct uri {
    const char *uri, *rest; /* NULL: not the API's own */
};

static void check(const struct forward_rules *rules, const struct uri *uris, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span rest;
        bool is_own = location_is_own(rules, span_of(uris[i].uri), &rest);

        print_message("%s\n", uris[i].uri);
        assert_int_equal(is_own, uris[i].rest != NULL);
        if (is_own)
            assert_true(span_eq(rest, span_of(uris[i].rest)));
    }
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    static const struct forward_rules rules = {
        .is_https = true, .origin = {"api.example", 11}, .host = {"api.example", 11}};
    static const struct uri uris[] = {
        {"https://api.example/a?b#c", "/a?b#c"},
        {"https://api.example", ""},
        {"https://api.example/", "/"},
        {"https://api.example?a", "?a"},
        {"https://api.example#a", "#a"},
        {"HTTPS://API.Example/A", "/A"},
        {"https://api.example:443/a", "/a"},
        {"https://api.example:00443/a", "/a"},
        {"https://api.example:/a", "/a"},
        {"https://api.example./a", "/a"},
        {"//api.example/a", "/a"},
        {"//api.example:443", ""},
        {"https://api.example//a", "//a"},
        {"https://api.example/a/../b", "/a/../b"},
        {"http://api.example/a", NULL},
        {"http://api.example:443/a", NULL},
        {"https://api.example:80/a", NULL},
        {"https://api.example:444/a", NULL},
        {"//api.example:80/a", NULL},
        {"https://api.example:65979/a", NULL}, /* 443 in 16 bits */
        {"https://api.example:x/a", NULL},
        {"https://api.example:443:443/a", NULL},
        {"https://api.example.evil/a", NULL},
        {"https://evil/https://api.example/a", NULL},
        {"https://other.example/a", NULL},
        {"https://api.example..", NULL},
        {"https://user@api.example/a", NULL},
        {"https://user:word@api.example/a", NULL},
        {"https://api.example@evil/a", NULL},
        {"https://api.example:443@evil/a", NULL},
        {"https://api.example\\@evil/a", NULL},
        {"https://api.example\\a", NULL},
        {"https:/api.example/a", NULL},
        {"https:api.example/a", NULL},
        {"https:///a", NULL},
        {"https://:443/a", NULL},
        {"https://", NULL},
        {"https", NULL},
        {" https://api.example/a", NULL},
        {"/a", NULL},
        {"a", NULL},
        {"?a", NULL},
        {"#a", NULL},
        {"../a", NULL},
        {"", NULL},
        {"mailto:api.example", NULL},
        {"ftp://api.example/a", NULL},
    };

    check(&rules, uris, COUNT(uris));
}

static void a_port_of_its_own_has_to_be_said(void **state)
{
    static const struct forward_rules rules = {.origin = {"api.example:8080", 16},
                                               .host = {"api.example:8080", 16}};
    static const struct uri uris[] = {
        {"http://api.example:8080/a", "/a"}, {"HTTP://api.example:08080", ""},
        {"//api.example:8080/a", "/a"},      {"http://api.example/a", NULL},
        {"http://api.example:80/a", NULL},   {"https://api.example:8080/a", NULL},
    };

    check(&rules, uris, COUNT(uris));
}

static void an_ipv6_address_is_the_same_however_it_is_written(void **state)
{
    static const struct forward_rules rules = {.origin = {"[2001:db8::1]", 13},
                                               .host = {"[2001:db8::1]", 13}};
    static const struct uri uris[] = {
        {"http://[2001:db8::1]/a", "/a"},
        {"http://[2001:DB8:0:0:0:0:0:1]:80/a", "/a"},
        {"http://[2001:db8::2]/a", NULL},
        {"http://[2001:db8::1]:81/a", NULL},
        {"http://[2001:db8::1]x/a", NULL},
        {"http://[2001:db8::1/a", NULL},
        {"http://[::ffff:2001:db8::1:1111:2222:3333:4444:5555:6666]/a", NULL},
        {"http://[]/a", NULL},
        {"http://2001:db8::1/a", NULL},
    };

    check(&rules, uris, COUNT(uris));
}

static void the_host_that_the_api_is_sent_is_its_own_too(void **state)
{
    static const struct forward_rules rules = {
        .is_https = true, .origin = {"10.0.0.1:8443", 13}, .host = {"shop.example", 12}};
    static const struct uri uris[] = {
        {"https://10.0.0.1:8443/a", "/a"},    {"https://shop.example/a", "/a"},
        {"https://shop.example:443/a", "/a"}, {"https://shop.example:8443/a", NULL},
        {"https://10.0.0.1/a", NULL},         {"http://shop.example/a", NULL},
    };

    check(&rules, uris, COUNT(uris));
}

static void the_base_path_is_taken_off_on_the_border_of_a_segment(void **state)
{
    static const struct forward_rules rules = {
        .is_https = true, .origin = {"api", 3}, .host = {"api", 3}, .base_path = {"/v2/x", 5}};
    static const struct uri uris[] = {
        {"https://api/v2/x/a?b", "/a?b"},
        {"https://api/v2/x", ""},
        {"https://api/v2/x/", "/"},
        {"https://api/v2/x?a=/..", "?a=/.."},
        {"https://api/v2/x#../a", "#../a"},
        {"https://api/v2/x//a", "//a"},
        {"https://api/v2/x/...", "/..."},
        {"https://api/v2/x/.a/b.", "/.a/b."},
        {"https://api/v2/x/%2f", "/%2f"},
        {"https://api/v2/xy", NULL},
        {"https://api/v2", NULL},
        {"https://api/V2/x/a", NULL},
        {"https://api/", NULL},
        {"https://api", NULL},
        {"https://api/a/v2/x", NULL},
        {"https://api?/v2/x", NULL},
        {"https://api/v2/x/..", NULL},
        {"https://api/v2/x/../a", NULL},
        {"https://api/v2/x/./a", NULL},
        {"https://api/v2/x/%2E%2e/a", NULL},
        {"https://api/v2/x/.%2e", NULL},
        {"https://api/v2/x/a/%2e/b", NULL},
    };

    check(&rules, uris, COUNT(uris));
}

static void two_fields_tell_where_a_response_leads(void **state)
{
    static const struct {
        const char *name;
        bool tells;
    } names[] = {{"Location", true},  {"LOCATION", true},   {"content-location", true},
                 {"Locatiom", false}, {"Locations", false}, {"", false},
                 {"Link", false},     {"Refresh", false},   {"Content-Locatiom", false}};

    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(location_is_told_by(&(struct http1_field){.name = span_of(names[i].name)}),
                         names[i].tells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(a_port_of_its_own_has_to_be_said),
        cmocka_unit_test(an_ipv6_address_is_the_same_however_it_is_written),
        cmocka_unit_test(the_host_that_the_api_is_sent_is_its_own_too),
        cmocka_unit_test(the_base_path_is_taken_off_on_the_border_of_a_segment),
        cmocka_unit_test(two_fields_tell_where_a_response_leads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
