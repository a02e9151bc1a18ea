/* Which switch of protocols is asked for, and whether it is the one that came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http/upgrade.h"

static struct http1_field fields[32];
static struct http1_head head = HTTP1_HEAD_OVER(fields);

static const struct span websocket[] = {{"websocket", 9}};
static const struct span two[] = {{"chat/2", 6}, {"websocket", 9}};

static struct span asked(const char *line, const char *lines, const struct span *protocols, uint32_t count)
{
    static char text[1024];
    const struct span *found;
    const char *detail;

    snprintf(text, sizeof(text), "%s\r\nHost: a\r\n%s\r\n", line, lines);
    assert_int_equal(http1_parse_request(span_of(text), &head, &detail), CAUSE_NONE);
    found = upgrade_asked(&head, protocols, count);
    return found != NULL ? *found : SPAN_LIT("");
}

#define ASKS(wanted, line, lines)                                                                            \
    do {                                                                                                     \
        struct span is = asked(line, lines, websocket, 1);                                                   \
                                                                                                             \
        if (!span_eq(is, span_of(wanted)))                                                                   \
            fail_msg("%s: %.*s", lines, SPAN_FMT(is));                                                       \
    } while (0)

static void a_get_that_lists_the_protocol_and_names_upgrade_asks_for_it(void **state)
{
    ASKS("websocket", "GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    ASKS("websocket", "GET / HTTP/1.1", "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n");
    ASKS("websocket", "GET / HTTP/1.1",
         "Connection: x\r\nConnection: UPGRADE\r\nUpgrade: h2c, websocket\r\n");
    ASKS("websocket", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: , websocket\r\n");
    ASKS("websocket", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n");
}

static void nothing_else_asks_for_one(void **state)
{
    ASKS("", "GET / HTTP/1.1", "");
    ASKS("", "GET / HTTP/1.1", "Upgrade: websocket\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: close\r\nUpgrade: websocket\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: upgrade\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket/13\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: \r\n");
    ASKS("", "GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n");
    ASKS("", "HEAD / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n");
    ASKS("", "POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n");
    ASKS("", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n");
}

static void of_several_the_one_that_the_caller_names_first_is_asked_for(void **state)
{
    const char *lines = "Connection: upgrade\r\nUpgrade: websocket, chat/2\r\n";

    assert_true(span_eq(asked("GET / HTTP/1.1", lines, two, 2), SPAN_LIT("websocket")));
    lines = "Connection: upgrade\r\nUpgrade: CHAT/2, websocket\r\n";
    assert_true(span_eq(asked("GET / HTTP/1.1", lines, two, 2), SPAN_LIT("chat/2")));
}

static bool granted(const char *lines)
{
    static char text[1024];
    const char *detail;

    snprintf(text, sizeof(text), "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", lines);
    head.upgrade = SPAN_LIT("websocket");
    assert_int_equal(http1_parse_response(span_of(text), HTTP1_GET, &head, &detail), CAUSE_NONE);
    return upgrade_is_granted(&head, SPAN_LIT("websocket"));
}

static void a_101_grants_what_was_asked_for_and_nothing_else(void **state)
{
    assert_true(granted("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert_true(granted("Connection: upgrade\r\nUpgrade: WebSocket\r\nContent-Length: 0\r\n"));
    assert_true(granted("Upgrade: websocket\r\n"));
    assert_false(granted(""));
    assert_false(granted("Connection: Upgrade\r\nUpgrade: h2c\r\n"));
    assert_false(granted("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"));
    assert_false(granted("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n"));
}

static void a_101_that_nobody_asked_for_is_refused(void **state)
{
    const struct span text = SPAN_LIT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    const char *detail;

    head.upgrade = SPAN_LIT("");
    assert_int_equal(http1_parse_response(text, HTTP1_GET, &head, &detail), CAUSE_HTTP_PROTOCOL);
    assert_string_equal(detail, "a protocol switch that was not asked for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_that_lists_the_protocol_and_names_upgrade_asks_for_it),
        cmocka_unit_test(nothing_else_asks_for_one),
        cmocka_unit_test(of_several_the_one_that_the_caller_names_first_is_asked_for),
        cmocka_unit_test(a_101_grants_what_was_asked_for_and_nothing_else),
        cmocka_unit_test(a_101_that_nobody_asked_for_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
