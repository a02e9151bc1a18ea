/* Which messages belong to an authentication of their connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "http/connection_auth.h"

static struct http1_field fields[8];
static struct http1_head head = HTTP1_HEAD_OVER(fields);

static struct span block_with(const char *line, const char *lines)
{
    static char block[1024];
    struct text text = text_over(block, sizeof(block));

    text_put(&text, span_of(line));
    text_put(&text, span_of(lines));
    TEXT_LIT(&text, "\r\n");
    return text_span(&text);
}

static bool of_request(const char *lines)
{
    const char *detail;
    struct span bytes = block_with("GET / HTTP/1.1\r\nHost: a\r\n", lines);

    assert_int_equal(http1_parse_request(bytes, &head, &detail), CAUSE_NONE);
    return connection_auth_in_request(&head);
}

static bool of_response(const char *lines)
{
    const char *detail;
    struct span bytes = block_with("HTTP/1.1 401 x\r\nContent-Length: 0\r\n", lines);

    assert_int_equal(http1_parse_response(bytes, HTTP1_GET, &head, &detail), CAUSE_NONE);
    return connection_auth_in_response(&head);
}

static void credentials_are_known_by_their_scheme(void **state)
{
    (void)state;
    assert_true(of_request("Authorization: NTLM TlRMTVNTUAABAAAA\r\n"));
    assert_true(of_request("authorization:ntlm\tTlRMTVNTUAABAAAA\r\n"));
    assert_true(of_request("AUTHORIZATION: NEGOTIATE YII=\r\n"));
    assert_true(of_request("Proxy-Authorization: Negotiate YII=\r\n"));
    assert_true(of_request("Authorization: Basic eA==\r\nAuthorization: NTLM x\r\n"));
    assert_true(of_request("Authorization: Kerberos YII=\r\n"));
    assert_false(of_request(""));
    assert_false(of_request("Authorization:\r\n"));
    assert_false(of_request("Authorization: Bearer NTLM\r\n"));
    assert_false(of_request("Authorization: Basic eA==\r\n"));
    assert_false(of_request("Authorization: NTLMv2 x\r\n"));
    assert_false(of_request("X-Authorization: NTLM x\r\n"));
    assert_false(of_request("WWW-Authenticate: NTLM\r\n"));
}

static void a_challenge_is_found_wherever_it_stands(void **state)
{
    (void)state;
    assert_true(of_response("WWW-Authenticate: NTLM\r\n"));
    assert_true(of_response("WWW-Authenticate: NTLM TlRMTVNTUAACAAAA\r\n"));
    assert_true(of_response("www-authenticate: negotiate oYG2\r\n"));
    assert_true(of_response("WWW-Authenticate: Basic realm=\"a, b\", NTLM\r\n"));
    assert_true(of_response("WWW-Authenticate: Digest realm=\"a\\\"\", nonce=x,Negotiate,Basic realm=y\r\n"));
    assert_true(of_response("WWW-Authenticate: Basic realm=a\r\nWWW-Authenticate: ,\tnTlM\r\n"));
    assert_true(of_response("Proxy-Authenticate: Negotiate\r\n"));
    assert_true(of_response("Persistent-Auth: true\r\n"));
    assert_true(of_response("Persistent-Auth: yes\r\n"));
    assert_false(of_response(""));
    assert_false(of_response("WWW-Authenticate:\r\n"));
    assert_false(of_response("WWW-Authenticate: Basic realm=\"ntlmish\", Bearer\r\n"));
    assert_false(of_response("Persistent-Auth: False\r\n"));
    assert_false(of_response("Authorization: NTLM\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_are_known_by_their_scheme),
        cmocka_unit_test(a_challenge_is_found_wherever_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
