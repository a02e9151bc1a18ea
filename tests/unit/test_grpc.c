/* What of gRPC is in heads and trailers, and what a gRPC caller is told in place of a status of HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/budget.h"
#include "http/grpc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void only_its_own_content_types_are_grpc(void **state)
{
    static const struct {
        const char *type;
        bool is_grpc;
    } types[] = {
        {"application/grpc", true},
        {"application/grpc+proto", true},
        {"Application/GRPC+json", true},
        {"application/grpc;charset=utf-8", true},
        {"application/grpc ; a=b", true},
        {"application/grpc-web", false},
        {"application/grpc-web+proto", false},
        {"application/grpcx", false},
        {"application/grp", false},
        {"", false},
        {"application/json", false},
    };

    for (size_t i = 0; i < COUNT(types); i++) {
        print_message("%s\n", types[i].type);
        assert_int_equal(grpc_is_type(span_of(types[i].type)), types[i].is_grpc);
    }
}

static void what_is_left_has_eight_digits_at_most_and_is_never_more(void **state)
{
    static const struct {
        int64_t left_ns;
        const char *text;
    } lefts[] = {
        {1957 * NS_PER_MS, "1957m"},
        {1957 * NS_PER_MS + 999999, "1957m"},
        {NS_PER_MS, "1m"},
        {NS_PER_MS - 1, "999u"},
        {NS_PER_US, "1u"},
        {NS_PER_US - 1, "1n"},
        {0, "1n"},
        {-5, "1n"},
        {INT64_C(99999999) * NS_PER_MS, "99999999m"},
        {INT64_C(100000000) * NS_PER_MS, "100000S"},
        {INT64_C(99999999) * NS_PER_S, "99999999S"},
        {INT64_C(100000000) * NS_PER_S, "1666666M"},
        {NS_NEVER, "2562047H"},
    };

    for (size_t i = 0; i < COUNT(lefts); i++) {
        char block[GRPC_TIMEOUT_ROOM];
        struct text text = text_over(block, sizeof(block));
        int64_t back_ns;

        grpc_put_timeout_value(&text, lefts[i].left_ns);
        print_message("%s\n", lefts[i].text);
        assert_true(span_eq(text_span(&text), span_of(lefts[i].text)));
        assert_true(budget_parse(SPAN_LIT("grpc-timeout"), text_span(&text), &back_ns));
        assert_true(back_ns <= lefts[i].left_ns || back_ns == 1);
        text = text_over(block, sizeof(block));
        grpc_put_timeout(&text, lefts[i].left_ns);
        assert_false(text.overflow);
    }
}

static void messages_are_percent_encoded(void **state)
{
    char block[64];
    struct text text = text_over(block, sizeof(block));

    grpc_put_message(&text, SPAN_LIT("50% \xc3\xa9\r\n~"));
    assert_true(span_eq(text_span(&text), SPAN_LIT("50%25 %C3%A9%0D%0A~")));
}

static void a_status_is_one_of_seventeen_or_another(void **state)
{
    enum grpc_code code = GRPC_NONE;

    assert_true(grpc_status_of_trailers(SPAN_LIT("a: b\r\nGrpc-Status: 14\r\n"), &code));
    assert_int_equal(code, GRPC_UNAVAILABLE);
    assert_true(grpc_status_of_trailers(SPAN_LIT("grpc-status:0\r\n"), &code));
    assert_int_equal(code, 0);
    assert_false(grpc_status_of_trailers(SPAN_LIT("grpc-message: x\r\n"), &code));
    assert_false(grpc_status_of_trailers(SPAN_LIT(""), &code));
    assert_int_equal(grpc_code_read(SPAN_LIT("16")), 16);
    assert_int_equal(grpc_code_read(SPAN_LIT("17")), GRPC_OTHER);
    assert_int_equal(grpc_code_read(SPAN_LIT("")), GRPC_OTHER);
    assert_int_equal(grpc_code_read(SPAN_LIT("-1")), GRPC_OTHER);
    assert_int_equal(grpc_code_read(SPAN_LIT("99999999999999999999999")), GRPC_OTHER);
    for (unsigned i = 0; i < GRPC_CODE_COUNT; i++)
        assert_true(i == GRPC_NONE || i == GRPC_OTHER ||
                    grpc_code_read(span_of(grpc_code_name((enum grpc_code)i))) == i);
    assert_string_equal(grpc_code_name(GRPC_OTHER), "other");
    assert_string_equal(grpc_code_name(GRPC_NONE), "none");
}

static void each_cause_has_its_code(void **state)
{
    static const struct {
        enum cause cause;
        enum grpc_code code;
    } told[] = {
        {CAUSE_QUEUE_FULL, GRPC_RESOURCE_EXHAUSTED},
        {CAUSE_QUEUE_LIMIT, GRPC_RESOURCE_EXHAUSTED},
        {CAUSE_TOO_LATE, GRPC_RESOURCE_EXHAUSTED},
        {CAUSE_CONNECTIONS, GRPC_RESOURCE_EXHAUSTED},
        {CAUSE_DRAINING, GRPC_UNAVAILABLE},
        {CAUSE_BREAKER_OPEN, GRPC_UNAVAILABLE},
        {CAUSE_INTERNAL, GRPC_INTERNAL},
        {CAUSE_BROKEN, GRPC_INTERNAL},
        {CAUSE_NO_ROUTE, GRPC_UNIMPLEMENTED},
        {CAUSE_METHOD, GRPC_UNIMPLEMENTED},
        {CAUSE_VERSION, GRPC_UNIMPLEMENTED},
        {CAUSE_BAD_REQUEST, GRPC_INTERNAL},
        {CAUSE_BAD_DEADLINE, GRPC_INTERNAL},
        {CAUSE_HEAD_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED},
        {CAUSE_CONTENT_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED},
    };

    for (size_t i = 0; i < COUNT(told); i++) {
        print_message("%s\n", cause_reason(told[i].cause));
        assert_int_equal(grpc_code_of_cause(told[i].cause), told[i].code);
    }
    for (unsigned i = 1; i < CAUSE_COUNT; i++) {
        enum outcome outcome = cause_outcome((enum cause)i);

        print_message("%s\n", cause_reason((enum cause)i));
        if (outcome == OUTCOME_STUCK)
            assert_int_equal(grpc_code_of_cause((enum cause)i), GRPC_DEADLINE_EXCEEDED);
        if (outcome == OUTCOME_FAILED && cause_status((enum cause)i) == 502)
            assert_int_equal(grpc_code_of_cause((enum cause)i), GRPC_UNAVAILABLE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_own_content_types_are_grpc),
        cmocka_unit_test(what_is_left_has_eight_digits_at_most_and_is_never_more),
        cmocka_unit_test(messages_are_percent_encoded),
        cmocka_unit_test(a_status_is_one_of_seventeen_or_another),
        cmocka_unit_test(each_cause_has_its_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
