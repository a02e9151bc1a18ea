/* How long a server says that it keeps a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/number.h"
#include "base/text.h"
#include "http/keep_alive.h"
#include "core/timer.h"

static struct http1_field fields[8];
static struct http1_head head = HTTP1_HEAD_OVER(fields);

static void parse(const char *lines)
{
    static char block[1024];
    struct text text = text_over(block, sizeof(block));
    const char *detail;

    TEXT_LIT(&text, "HTTP/1.1 204 No Content\r\n");
    text_put(&text, span_of(lines));
    TEXT_LIT(&text, "\r\n");
    assert_int_equal(http1_parse_response(text_span(&text), HTTP1_GET, &head, &detail), CAUSE_NONE);
}

/* Seconds that the connection may be idle after a first response with these lines; -1: not said; 0: not kept. */
static int64_t idle_s(const char *lines)
{
    struct keep_alive said;
    bool kept;

    parse(lines);
    keep_alive_init(&said);
    kept = keep_alive_note(&said, &head, 1);
    assert_true(kept == (said.idle_ns != 0));
    return said.idle_ns == NS_NEVER ? -1 : said.idle_ns / NS_PER_S;
}

static void the_last_second_is_not_used(void **state)
{
    (void)state;
    assert_int_equal(idle_s("Keep-Alive: timeout=5\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: timeout=2, max=100\r\n"), 1);
    assert_int_equal(idle_s("Keep-Alive: timeout=1, max=100\r\n"), 0);
    assert_int_equal(idle_s("Keep-Alive: timeout=0\r\n"), 0);
}

static void however_it_is_written(void **state)
{
    (void)state;
    assert_int_equal(idle_s("KEEP-ALIVE: TIMEOUT=5\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: max=9,timeout=5\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: timeout=\"5\"\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: timeout = 5 ; max=7\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: ,, timeout=005,\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: x=\"a\", timeout=5\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: 15\r\n"), 14);
    assert_int_equal(idle_s("Keep-Alive: timeout=5.9\r\n"), 4);
}

static void the_least_of_several_counts(void **state)
{
    (void)state;
    assert_int_equal(idle_s("Keep-Alive: timeout=60\r\nServer: x\r\nKeep-Alive: timeout=5\r\n"), 4);
    assert_int_equal(idle_s("Keep-Alive: timeout=5, timeout=60\r\n"), 4);
}

static void what_can_not_be_read_says_nothing(void **state)
{
    static const char *lines[] = {
        "Keep-Alive:\r\n",
        "Keep-Alive: timeout\r\n",
        "Keep-Alive: timeout=\r\n",
        "Keep-Alive: timeout=-5\r\n",
        "Keep-Alive: timeout=x5\r\n",
        "Keep-Alive: timeouts=5\r\n",
        "Keep-Alive: header=\"timeout\"\r\n",
        "Keep-Alive: \x80=\"\r\n",
        "Keep-Alive: timeout=99999999999999999999999999999999\r\n",
        "Keep-Alive: timeout=4294967295\r\n",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(idle_s(lines[i]), -1);
    assert_int_equal(idle_s("Keep-Alive: timeout=4294967294\r\n"), 4294967293);
}

static void a_response_without_it_leaves_what_was_said(void **state)
{
    struct keep_alive said;

    (void)state;
    keep_alive_init(&said);
    parse("Keep-Alive: timeout=5\r\n");
    assert_true(keep_alive_note(&said, &head, 1));
    parse("Keep-Alive: max=50\r\n");
    assert_true(keep_alive_note(&said, &head, 2));
    assert_int_equal(said.idle_ns, 4 * NS_PER_S);
    parse("Keep-Alive: timeout=9\r\n");
    assert_true(keep_alive_note(&said, &head, 3));
    assert_int_equal(said.idle_ns, 8 * NS_PER_S);
}

/* How many requests a connection gets whose responses say these values of `max`, the last one again and again. */
static uint32_t requests(const uint32_t *max, uint32_t count)
{
    struct keep_alive said;
    char line[64];

    keep_alive_init(&said);
    for (uint32_t served = 1; served < 200; served++) {
        snprintf(line, sizeof(line), "Keep-Alive: max=%u\r\n", max[served < count ? served - 1 : count - 1]);
        parse(line);
        if (!keep_alive_note(&said, &head, served))
            return served;
    }
    return UINT32_MAX;
}

static void max_is_heeded_in_both_of_its_readings(void **state)
{
    static const uint32_t counting_down[] = {5, 4, 3, 2, 1, 0}, in_all[] = {5}, one[] = {1}, none[] = {0};

    (void)state;
    assert_int_equal(requests(counting_down, 6), 6);
    assert_int_equal(requests(in_all, 1), 5);
    assert_int_equal(requests(one, 1), 1);
    assert_int_equal(requests(none, 1), 1);
}

static void known_fields_are_told_of(void **state)
{
    (void)state;
    parse("Keep-Alive: timeout=5\r\nServer: x\r\n");
    assert_int_equal(head.known, HTTP1_BIT(KEEP_ALIVE));
    parse("Server: x\r\n");
    assert_int_equal(head.known, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_second_is_not_used),
        cmocka_unit_test(however_it_is_written),
        cmocka_unit_test(the_least_of_several_counts),
        cmocka_unit_test(what_can_not_be_read_says_nothing),
        cmocka_unit_test(a_response_without_it_leaves_what_was_said),
        cmocka_unit_test(max_is_heeded_in_both_of_its_readings),
        cmocka_unit_test(known_fields_are_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
