#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/address_order.h"

/* "destination" or "destination<source", with blanks between; gives the destinations in order. */
static const char *ordered(const char *text)
{
    static char out[256];
    char copy[256], *rest = copy, *word;
    struct destination all[8] = {0};
    uint32_t count = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        char *source = strchr(word, '<');

        if (source != NULL) {
            *source = '\0';
            assert_true(ip_read(span_of(source + 1), &all[count].source));
            all[count].has_source = true;
        }
        assert_true(ip_read(span_of(word), &all[count].ip));
        all[count].place = count;
        count++;
    }
    address_order(all, count);
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        bool is_v4 = ip_is_v4(&all[i].ip);
        char ip[INET6_ADDRSTRLEN];

        inet_ntop(is_v4 ? AF_INET : AF_INET6, all[i].ip.bytes + (is_v4 ? 12 : 0), ip, sizeof(ip));
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i != 0 ? " " : "", ip);
    }
    return out;
}

/* The examples of RFC 6724 10.2, and what they leave out. */
static void destinations_are_in_the_order_of_rfc_6724(void **state)
{
    static const struct {
        const char *given, *expected;
    } cases[] = {
        {"2001:db8:1::1<2001:db8:1::2 198.51.100.121<169.254.13.78", "2001:db8:1::1 198.51.100.121"},
        {"2001:db8:1::1<fe80::1 198.51.100.121<198.51.100.117", "198.51.100.121 2001:db8:1::1"},
        {"10.1.2.3<10.1.2.4 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 10.1.2.3"},
        {"2001:db8:1::1<2001:db8:1::2 fe80::1<fe80::2", "fe80::1 2001:db8:1::1"},
        {"2001:db8:1::1<2001:db8:3f44::2 2001:db8:3ffe::1<2001:db8:3f44::2",
         "2001:db8:3ffe::1 2001:db8:1::1"},
        {"2002:c633:6401::1<2002:c633:6401::2 2001:db8:1::1<2002:c633:6401::2",
         "2002:c633:6401::1 2001:db8:1::1"},
        {"192.0.2.9 192.0.2.1 192.0.2.5", "192.0.2.9 192.0.2.1 192.0.2.5"},
        {"2001:db8::1 192.0.2.1<192.0.2.2", "192.0.2.1 2001:db8::1"},
        {"192.0.2.1<192.0.2.2 2001:db8::1 192.0.2.3<192.0.2.2", "192.0.2.1 192.0.2.3 2001:db8::1"},
        {"127.0.0.1<127.0.0.1 ::1<::1", "::1 127.0.0.1"},
        {"fd00::1<2001:db8::2 192.0.2.1<192.0.2.2", "192.0.2.1 fd00::1"},
        {"2001:0:1::1<2001:db8::2 192.0.2.1<192.0.2.2", "192.0.2.1 2001:0:1::1"},
        {"fec0::1<fec0::2 192.0.2.1<192.0.2.2", "192.0.2.1 fec0::1"},
        {"ff05::1 2001:db8::1", "ff05::1 2001:db8::1"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(ordered(cases[i].given), cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destinations_are_in_the_order_of_rfc_6724),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
