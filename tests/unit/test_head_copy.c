/* A response's head that outlives its buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "http/forward.h"
#include "http/head_copy.h"

static struct http1_field fields[16];
static struct http1_head head = HTTP1_HEAD_OVER(fields);

/* As it would go to a caller. */
static struct span written(const struct http1_head *response, char *block, size_t cap)
{
    static const struct forward_rules rules;
    struct text text = text_over(block, cap);

    forward_response_head(&text, response, forward_response_framing(response, 1), 1, true,
                          &(struct forward_own){.rules = &rules, .call_id = 1});
    assert_false(text.overflow);
    return text_span(&text);
}

static void a_copy_is_written_as_the_head_itself(void **state)
{
    char bytes[] =
        "HTTP/1.1 503 Not Now\r\nX-A:  one \r\nConnection: X-B\r\nX-B: two\r\nContent-Length: 3\r\nX-Empty:\r\n\r\n";
    char before[512], after[512];
    struct http1_head *copy;
    struct span want, got;
    const char *detail;

    (void)state;
    assert_int_equal(http1_parse_response(span_of(bytes), HTTP1_GET, &head, &detail), CAUSE_NONE);
    want = written(&head, before, sizeof(before));
    copy = http1_head_copy(&head);
    assert_non_null(copy);
    memset(bytes, 'x', sizeof(bytes));
    memset(fields, 0, sizeof(fields));
    head.field_count = 0;
    got = written(copy, after, sizeof(after));
    assert_true(span_eq(want, got));
    assert_int_equal(copy->code, 503);
    mem_free(copy);
}

static bool never(void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return true;
}

static void without_memory_there_is_none(void **state)
{
    static const char bytes[] = "HTTP/1.1 204 No Content\r\n\r\n";
    const char *detail;

    (void)state;
    assert_int_equal(http1_parse_response(span_of(bytes), HTTP1_GET, &head, &detail), CAUSE_NONE);
    mem_set_fault(never, NULL);
    assert_null(http1_head_copy(&head));
    mem_set_fault(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_written_as_the_head_itself),
        cmocka_unit_test(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
