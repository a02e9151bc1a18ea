/* The trace that a call belongs to: traceparent as W3C Trace Context has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/trace.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ID           "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT       "00f067aa0ba902b7"

static const struct trace none;

static void assert_ids(const struct trace *trace, const char *id, const char *parent)
{
    assert_true(trace_is_set(trace));
    assert_true(span_eq(trace_id(trace), span_of(id)));
    assert_true(span_eq(trace_parent(trace), span_of(parent)));
}

/* The examples of "traceparent Header" and of "Relationship Between the Headers". */
static void the_examples_of_the_standard_are_read(void **state)
{
    struct trace trace = none;

    assert_true(trace_parse(SPAN_LIT("00-" ID "-" PARENT "-01"), &trace));
    assert_ids(&trace, ID, PARENT);
    assert_true(trace_parse(SPAN_LIT("00-" ID "-" PARENT "-00"), &trace));
    assert_ids(&trace, ID, PARENT);
    assert_true(trace_parse(SPAN_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), &trace));
    assert_ids(&trace, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
}

static void what_is_valid_and_what_is_not(void **state)
{
    static const struct {
        const char *value;
        bool is_valid;
    } values[] = {
        /* flags are bits, and all of them may be set by somebody who knows more */
        {"00-" ID "-" PARENT "-ff", true},
        {"00-" ID "-" PARENT "-09", true},
        {"00-00000000000000000000000000000001-" PARENT "-01", true},
        {"00-80000000000000000000000000000000-" PARENT "-01", true},
        {"00-" ID "-0000000000000001-01", true},
        /* later versions: as long as they begin like this one */
        {"01-" ID "-" PARENT "-01", true},
        {"cc-" ID "-" PARENT "-01", true},
        {"fe-" ID "-" PARENT "-01", true},
        {"cc-" ID "-" PARENT "-01-", true},
        {"cc-" ID "-" PARENT "-01-what-the-future-will-be-like", true},
        {"cc-" ID "-" PARENT "-01.what-the-future-will-be-like", false},
        {"cc-" ID "-" PARENT "-011", false},
        {"cc-" ID "-" PARENT "-0", false},
        {"cc-" ID "-" PARENT "-0-more", false},
        {"cc-" ID "-" PARENT, false},
        /* this one is exactly so long */
        {"00-" ID "-" PARENT "-01-", false},
        {"00-" ID "-" PARENT "-01-what-the-future-will-be-like", false},
        {"00-" ID "-" PARENT "-01.", false},
        {"00-" ID "-" PARENT "-1", false},
        {"00-" ID "-" PARENT "-", false},
        {"00-" ID "-" PARENT, false},
        {"00-" ID, false},
        {"00", false},
        {"", false},
        /* a version that is forbidden, or none */
        {"ff-" ID "-" PARENT "-01", false},
        {"ff-" ID "-" PARENT "-01-more", false},
        {"0-" ID "-" PARENT "-01-", false},
        {"000-" ID "-" PARENT "-01", false},
        {".0-" ID "-" PARENT "-01", false},
        {"0.-" ID "-" PARENT "-01", false},
        {"FE-" ID "-" PARENT "-01", false},
        /* ids of the wrong length, of zeros, of other letters */
        {"00-" ID "0-" PARENT "-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-01-", false},
        {"00-" ID "-" PARENT "0-01", false},
        {"00-" ID "-00f067aa0ba902b-011", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" ID "-0000000000000000-01", false},
        {"cc-00000000000000000000000000000000-" PARENT "-01", false},
        {"cc-" ID "-0000000000000000-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473g-" PARENT "-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473/-" PARENT "-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473:-" PARENT "-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473`-" PARENT "-01", false},
        {"00-\xe2\x80\xa6"
         "bf92f3577b34da6a3ce929d0e0e47-" PARENT "-01",
         false},
        {"00-" ID "-00F067AA0BA902B7-01", false},
        {"00-" ID "-00f067aa0ba902b\"-01", false},
        {"00-" ID "-" PARENT "-0G", false},
        {"00-" ID "-" PARENT "-0A", false},
        {"00-" ID "-" PARENT "-.0", false},
        /* other dashes, two values in one field */
        {"00_" ID "-" PARENT "-01", false},
        {"00-" ID "_" PARENT "-01", false},
        {"00-" ID "-" PARENT "_01", false},
        {"00-" ID "-" PARENT "-01,00-" ID "-" PARENT "-01", false},
    };

    for (size_t i = 0; i < COUNT(values); i++) {
        struct trace trace = {"as it was", "as it was"};

        print_message("%s\n", values[i].value);
        assert_int_equal(trace_parse(span_of(values[i].value), &trace), values[i].is_valid);
        if (!values[i].is_valid)
            assert_true(memcmp(&trace, &(struct trace){"as it was", "as it was"}, sizeof(trace)) == 0);
    }
}

/* Each byte of a sound value counts: with any of its digits or dashes broken, it is none. */
static void one_wrong_byte_anywhere_is_one_too_many(void **state)
{
    char value[] = "00-" ID "-" PARENT "-01";

    for (size_t i = 0; i < sizeof(value) - 1; i++) {
        struct trace trace = none;
        char kept = value[i];

        value[i] = 'x';
        assert_false(trace_parse(span_of(value), &trace));
        assert_false(trace_is_set(&trace));
        value[i] = kept;
    }
}

static void a_trace_that_begins_here_is_valid_whatever_the_dice_say(void **state)
{
    static const struct {
        uint64_t random[3];
        const char *line;
    } throws[] = {
        {{0x0123456789abcdef, 0xfedcba9876543210, 0x00000000000000a0},
         "traceparent: 00-0123456789abcdeffedcba9876543210-00000000000000a0-01\r\n"},
        {{0, 0, 0}, "traceparent: 00-00000000000000000000000000000001-0000000000000001-01\r\n"},
        {{5, 0, 6}, "traceparent: 00-00000000000000050000000000000001-0000000000000006-01\r\n"},
        {{UINT64_MAX, UINT64_MAX, UINT64_MAX},
         "traceparent: 00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01\r\n"},
    };

    for (size_t i = 0; i < COUNT(throws); i++) {
        char block[TRACE_LINE_LEN];
        struct text text = text_over(block, sizeof(block));
        struct trace trace = none, read = none;

        trace_begin(&trace, throws[i].random);
        assert_true(trace_is_set(&trace));
        trace_put_line(&text, &trace);
        assert_false(text.overflow);
        assert_int_equal(text.len, TRACE_LINE_LEN);
        assert_true(span_eq(text_span(&text), span_of(throws[i].line)));
        assert_true(trace_parse(span_trim((struct span){block + 12, text.len - 14}), &read));
        assert_memory_equal(&read, &trace, sizeof(trace));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_are_read),
        cmocka_unit_test(what_is_valid_and_what_is_not),
        cmocka_unit_test(one_wrong_byte_anywhere_is_one_too_many),
        cmocka_unit_test(a_trace_that_begins_here_is_valid_whatever_the_dice_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
