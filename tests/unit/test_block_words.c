#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/block_words.h"

#define ITEMS 14

static const struct block_request request = {.number = 17,
                                             .connection = 3,
                                             .epoch = "e1",
                                             .not_after_us = 5,
                                             .claim = 1,
                                             .held = 2,
                                             .want = 3,
                                             .weight = 4,
                                             .size = 5,
                                             .yields = true};

static struct store_reply number(int64_t n)
{
    return (struct store_reply){.kind = STORE_NUMBER, .number = n};
}

static struct store_reply text(const char *of)
{
    return (struct store_reply){.kind = STORE_TEXT, .text = span_of(of)};
}

struct answer {
    struct store_reply items[ITEMS], whole;
};

static struct answer *good(void)
{
    static struct answer answer;

    answer = (struct answer){.items = {text("OK"), text("17"), text("e2"), text("1000"), number(6), number(5),
                                       number(1), text("30000"), number(2), number(48), number(12), number(3),
                                       text("7000"), number(50)}};
    answer.whole = (struct store_reply){.kind = STORE_LIST, .count = ITEMS, .items = answer.items};
    return &answer;
}

static void a_request_is_put_in_the_words_of_the_script(void **state)
{
    static const char *const expected[BLOCK_WORDS] = {"me", "17", "e1", "5", "1",     "2",    "3",
                                                      "4",  "5",  "1",  "0", "12000", "5000", "hint:"};
    const struct block_terms terms = {.lease_ns = 12000000};
    const struct block_sender sender = {SPAN_LIT("me"), SPAN_LIT("hint:"), 5000};
    struct script_words words;

    (void)state;
    block_put_words(&words, &request, &terms, &sender);
    assert_int_equal(words.count, BLOCK_WORDS);
    for (int i = 0; i < BLOCK_WORDS; i++)
        assert_true(span_eq(words.words[i], span_of(expected[i])));
}

static void the_largest_numbers_fit(void **state)
{
    const struct block_terms terms = {.lease_ns = INT64_MAX};
    const struct block_sender sender = {SPAN_LIT(""), SPAN_LIT(""), INT64_MAX};
    struct block_request large = {.epoch = "", .number = INT64_MAX, .not_after_us = INT64_MAX};
    struct script_words words;

    (void)state;
    large.claim = large.held = large.want = large.weight = large.size = UINT32_MAX;
    block_put_words(&words, &large, &terms, &sender);
    assert_true(span_eq(words.words[3], SPAN_LIT("9007199254740991")));
}

static void an_answer_is_read(void **state)
{
    struct block_reply reply;

    (void)state;
    assert_true(block_read_reply(&good()->whole, &request, &reply));
    assert_int_equal(reply.answer, BLOCK_OK);
    assert_int_equal(reply.number, 17);
    assert_int_equal(reply.connection, 3);
    assert_string_equal(reply.epoch, "e2");
    assert_int_equal(reply.granted, 6);
    assert_int_equal(reply.aim, 5);
    assert_true(reply.tight);
    assert_int_equal(reply.turn_ns, 30000);
    assert_int_equal(reply.total_granted, 48);
    assert_int_equal(reply.hosts, 12);
    assert_int_equal(reply.waiting_hosts, 3);
    assert_int_equal(reply.learning_us, 7000);
    assert_int_equal(reply.smallest, 50);
}

static void another_epochs_answer_needs_no_more_than_its_name(void **state)
{
    struct answer *answer = good();
    struct block_reply reply;

    (void)state;
    answer->items[0] = text("EPOCH");
    answer->whole.count = 4;
    assert_true(block_read_reply(&answer->whole, &request, &reply));
    assert_int_equal(reply.answer, BLOCK_EPOCH);
    assert_string_equal(reply.epoch, "e2");
}

static void no_turn_is_none_for_good(void **state)
{
    struct answer *answer = good();
    struct block_reply reply;

    (void)state;
    answer->items[7] = text("-1");
    assert_true(block_read_reply(&answer->whole, &request, &reply));
    assert_int_equal(reply.turn_ns, INT64_MAX);
}

static void what_is_out_of_form_is_no_answer(void **state)
{
    static const struct store_reply nothing = {.kind = STORE_NOTHING};
    static char long_epoch[BLOCK_EPOCH_MAX + 1];
    struct block_reply reply;

    (void)state;
    for (int i = 0; i < ITEMS; i++) {
        struct answer *answer = good();

        answer->items[i] = nothing;
        assert_false(block_read_reply(&answer->whole, &request, &reply));
        answer = good();
        answer->items[i] = i == 7 ? text("x") : number(-1);
        assert_false(block_read_reply(&answer->whole, &request, &reply));
    }
    for (uint32_t count = 0; count < ITEMS; count++) {
        struct answer *answer = good();

        answer->whole.count = count;
        assert_false(block_read_reply(&answer->whole, &request, &reply));
    }
    memset(long_epoch, 'e', BLOCK_EPOCH_MAX);
    {
        struct answer *answer = good();

        answer->items[2] = text(long_epoch);
        assert_false(block_read_reply(&answer->whole, &request, &reply));
    }
    assert_false(block_read_reply(&(struct store_reply){.kind = STORE_NUMBER}, &request, &reply));
}

static void the_answer_to_another_request_is_none(void **state)
{
    struct answer *answer = good();
    struct block_reply reply;

    (void)state;
    answer->items[1] = text("16");
    assert_false(block_read_reply(&answer->whole, &request, &reply));
}

static void more_permits_than_there_can_be_are_none(void **state)
{
    struct answer *answer = good();
    struct block_reply reply;

    (void)state;
    answer->items[4] = text("99999999999");
    assert_false(block_read_reply(&answer->whole, &request, &reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_put_in_the_words_of_the_script),
        cmocka_unit_test(the_largest_numbers_fit),
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(another_epochs_answer_needs_no_more_than_its_name),
        cmocka_unit_test(no_turn_is_none_for_good),
        cmocka_unit_test(what_is_out_of_form_is_no_answer),
        cmocka_unit_test(the_answer_to_another_request_is_none),
        cmocka_unit_test(more_permits_than_there_can_be_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
