/* HTTPS_PROXY and NO_PROXY, as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "config/proxy_env.h"

static bool excepts(const char *list, const char *text)
{
    struct url url;

    assert_null(url_parse(span_of(text), &url));
    return proxy_env_excepts(span_of(list), &url);
}

static void names_stand_for_themselves_and_all_below_them(void **state)
{
    assert_true(excepts("example.org", "https://example.org"));
    assert_true(excepts("example.org", "https://API.Example.org"));
    assert_true(excepts(".example.org", "https://api.example.org"));
    assert_true(excepts("a.test, ,b.test", "https://b.test"));
    assert_true(excepts("example.org", "https://example.org."));
    assert_false(excepts("example.org", "https://badexample.org"));
    assert_false(excepts("api.example.org", "https://example.org"));
    assert_false(excepts("", "https://example.org"));
    assert_false(excepts(".", "https://example.org"));
    assert_true(excepts("*", "https://example.org"));
    assert_false(excepts("*.org", "https://example.org"));
}

static void a_port_has_to_be_the_urls(void **state)
{
    assert_true(excepts("example.org:443", "https://example.org"));
    assert_true(excepts("example.org:8443", "https://api.example.org:8443"));
    assert_false(excepts("example.org:8443", "https://example.org"));
    assert_false(excepts("example.org:x", "https://example.org"));
    assert_true(excepts("127.0.0.1:80", "http://127.0.0.1"));
    assert_false(excepts("127.0.0.1:81", "http://127.0.0.1"));
}

static void addresses_and_ranges_are_for_addresses(void **state)
{
    assert_true(excepts("127.0.0.1", "https://127.0.0.1:9"));
    assert_true(excepts("10.0.0.0/8", "https://10.1.2.3"));
    assert_true(excepts("10.0.0.1/8", "https://10.1.2.3"));
    assert_true(excepts("::1", "https://[::1]"));
    assert_true(excepts("[::1]", "https://[::1]"));
    assert_true(excepts("fd00::/8", "https://[fd12::1]:8443"));
    assert_false(excepts("10.0.0.0/8", "https://11.1.2.3"));
    assert_false(excepts("10.0.0.0/33", "https://10.1.2.3"));
    assert_false(excepts("0.0.0.0/0", "https://example.org"));
    assert_false(excepts("1", "https://127.0.0.1"));
}

static void a_proxy_is_written_with_much_or_little(void **state)
{
    struct span credentials;
    struct url url;

    assert_null(proxy_env_parse(SPAN_LIT("http://proxy.corp:3128"), &url, &credentials));
    assert_true(span_eq(url.host, SPAN_LIT("proxy.corp")) && url.port == 3128 && credentials.len == 0);
    assert_null(proxy_env_parse(SPAN_LIT("proxy"), &url, &credentials));
    assert_true(span_eq(url.host, SPAN_LIT("proxy")) && url.port == 80);
    assert_null(proxy_env_parse(SPAN_LIT("HTTP://a:b@c@[::1]:8080/"), &url, &credentials));
    assert_true(span_eq(url.host, SPAN_LIT("::1")) && url.port == 8080);
    assert_true(span_eq(credentials, SPAN_LIT("a:b@c")));
    assert_non_null(proxy_env_parse(SPAN_LIT("https://proxy"), &url, &credentials));
    assert_non_null(proxy_env_parse(SPAN_LIT("socks5://proxy"), &url, &credentials));
    assert_non_null(proxy_env_parse(SPAN_LIT("http://proxy/x"), &url, &credentials));
    assert_non_null(proxy_env_parse(SPAN_LIT("http://proxy:99999"), &url, &credentials));
    assert_non_null(proxy_env_parse(SPAN_LIT("http://"), &url, &credentials));
}

static void credentials_become_basic(void **state)
{
    static const struct {
        const char *credentials, *value;
    } rows[] = {
        {"Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 2 */
        {"a:b", "Basic YTpi"},
        {"a:", "Basic YTo="},
        {"u%40x:p%3Aw", "Basic dUB4OnA6dw=="},
    };
    char block[64];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text text = text_over(block, sizeof(block));

        assert_true(proxy_env_put_basic(&text, span_of(rows[i].credentials)));
        assert_true(span_eq(text_span(&text), span_of(rows[i].value)));
    }
    for (int i = 0; i < 2; i++) {
        struct text text = text_over(block, sizeof(block));

        assert_false(proxy_env_put_basic(&text, i == 0 ? SPAN_LIT("a:%4") : SPAN_LIT("a:%zz")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_for_themselves_and_all_below_them),
        cmocka_unit_test(a_port_has_to_be_the_urls),
        cmocka_unit_test(addresses_and_ranges_are_for_addresses),
        cmocka_unit_test(a_proxy_is_written_with_much_or_little),
        cmocka_unit_test(credentials_become_basic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
