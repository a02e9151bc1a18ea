#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/url.h"

static void the_parts_of_an_url_are_read(void **state)
{
    static const struct {
        const char *text, *host, *base_path;
        uint16_t port;
        bool is_https, host_is_ip, has_default_port;
    } cases[] = {
        {"https://api.example.com", "api.example.com", "", 443, true, false, true},
        {"http://api.example.com/", "api.example.com", "", 80, false, false, true},
        {"HTTP://a:80/v2/x//", "a", "/v2/x", 80, false, false, true},
        {"https://a:80", "a", "", 80, true, false, false},
        {"http://127.0.0.1:8080/v2", "127.0.0.1", "/v2", 8080, false, true, false},
        {"https://[2001:db8::1]", "2001:db8::1", "", 443, true, true, true},
        {"https://[::1]:8443/a%20b;c=d,e@:~", "::1", "/a%20b;c=d,e@:~", 8443, true, true, false},
        {"http://my_service-1.internal", "my_service-1.internal", "", 80, false, false, true},
        {"http://1a.2b", "1a.2b", "", 80, false, false, true},
        {"https://api.example.com.:8443/v2", "api.example.com.", "/v2", 8443, true, false, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url url;

        assert_null(url_parse(span_of(cases[i].text), &url));
        assert_true(span_eq(url.host, span_of(cases[i].host)));
        assert_true(span_eq(url.base_path, span_of(cases[i].base_path)));
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.is_https, cases[i].is_https);
        assert_int_equal(url.host_is_ip, cases[i].host_is_ip);
        assert_int_equal(url.has_default_port, cases[i].has_default_port);
    }
}

#define LABEL_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL_50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."

static void what_is_no_url_of_an_upstream_is_explained(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "must start with http:// or https://"},
        {"api.example.com", "must start with http:// or https://"},
        {"ftp://a", "must start with http:// or https://"},
        {"http:/a", "must start with http:// or https://"},
        {"http://", "there is no host"},
        {"http:///v2", "there is no host"},
        {"http://:80", "there is no host"},
        {"http://a/?x=1", "query and fragment have no place here"},
        {"http://a?x", "query and fragment have no place here"},
        {"http://a/b#c", "query and fragment have no place here"},
        {"http://user:secret@a", "user and password have no place here; set an Authorization header"},
        {"http://a/ b", "a character in the path must be percent-encoded"},
        {"http://a/%2", "a character in the path must be percent-encoded"},
        {"http://a/%zz", "a character in the path must be percent-encoded"},
        {"http://a/\xc3\xbc", "a character in the path must be percent-encoded"},
        {"http://a/x\r\nHost: b", "a character in the path must be percent-encoded"},
        {"http://a:", "the port must be a number from 1 to 65535"},
        {"http://a:0", "the port must be a number from 1 to 65535"},
        {"http://a:65536", "the port must be a number from 1 to 65535"},
        {"http://a:8o", "the port must be a number from 1 to 65535"},
        {"http://a b", "the host is not a valid name"},
        {"http://a..b", "the host is not a valid name"},
        {"http://.", "the host is not a valid name"},
        {"http://a..", "the host is not a valid name"},
        {"http://.a.", "the host is not a valid name"},
        {"http://1.2.3.4.", "the host is neither a name nor a valid IP address"},
        {"http://-a", "the host is not a valid name"},
        {"http://" LABEL_64, "the host is not a valid name"},
        {"http://" LABEL_50 LABEL_50 LABEL_50 LABEL_50 LABEL_50 "a", "the host is longer than 253 bytes"},
        {"http://10.0.0.256", "the host is neither a name nor a valid IP address"},
        {"http://10.1", "the host is neither a name nor a valid IP address"},
        {"http://::1", "an IPv6 address is written in brackets, as in http://[::1]:8080"},
        {"http://[::1", "an IPv6 address is written in brackets, as in http://[::1]:8080"},
        {"http://[::1]x", "an IPv6 address is written in brackets, as in http://[::1]:8080"},
        {"http://[a]", "not a valid IPv6 address in brackets"},
        {"http://[127.0.0.1]", "not a valid IPv6 address in brackets"},
        {"http://[fe80::1%eth0]", "not a valid IPv6 address in brackets"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url url;
        const char *why = url_parse(span_of(cases[i].text), &url);

        if (!why || strcmp(why, cases[i].why) != 0)
            fail_msg("\"%s\": %s", cases[i].text, why ? why : "taken");
    }
}

static void a_host_alone_has_no_port(void **state)
{
    struct url url;

    assert_true(url_is_host(SPAN_LIT("api.example.com"), &url));
    assert_true(url_is_host(SPAN_LIT("::1"), &url));
    assert_false(url_is_host(SPAN_LIT("a:80"), &url));
    assert_false(url_is_host(SPAN_LIT(""), &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_an_url_are_read),
        cmocka_unit_test(what_is_no_url_of_an_upstream_is_explained),
        cmocka_unit_test(a_host_alone_has_no_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
