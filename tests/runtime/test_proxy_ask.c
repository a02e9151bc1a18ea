/* The answer of a proxy to CONNECT: its status, and that not a byte behind its head is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "runtime/proxy_ask.h"

static unsigned read_all(const char *text, size_t count, size_t *len)
{
    struct span line;

    return proxy_answer_read(text, count, len, &line);
}

/* However much of it has come: nothing is known before its head has, and then the same. */
static void must_say(const char *answer, const char *behind, unsigned status)
{
    char text[512];
    size_t head = strlen(answer), len;

    memcpy(text, answer, head);
    strcpy(text + head, behind);
    for (size_t count = 0; count < head; count++) {
        assert_int_equal(read_all(text, count, &len), 0);
        assert_int_equal(len, 0);
    }
    for (size_t count = head; count <= strlen(text); count++) {
        assert_int_equal(read_all(text, count, &len), status);
        assert_int_equal(len, head);
    }
}

static void a_status_is_read_wherever_the_bytes_are_split(void **state)
{
    must_say("HTTP/1.1 200 Connection established\r\n\r\n", "\x16\x03\x01", 200);
    must_say("HTTP/1.0 200\r\nX: y\r\n\r\n", "HTTP/1.1 500 no\r\n\r\n", 200);
    must_say("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", "body", 407);
    must_say("HTTP/1.1 200 OK\nX: y\n\n", "\n\n", 200);
    must_say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 Fine\r\n\r\n",
             "x", 204);
}

static void what_is_no_answer_has_no_status(void **state)
{
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 x00 OK\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len;

        assert_int_equal(read_all(texts[i], strlen(texts[i]), &len), 0);
        assert_int_not_equal(len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_is_read_wherever_the_bytes_are_split),
        cmocka_unit_test(what_is_no_answer_has_no_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
