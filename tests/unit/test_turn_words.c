/* A turn's request and answer in the words of the store's script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/turn_words.h"

#define ITEMS 9

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

    answer = (struct answer){.items = {text("1700000000000000"),
                                       {.kind = STORE_NUMBER, .number = 3},
                                       text("-190000"),
                                       text("5000"),
                                       text("20000"),
                                       text("0"),
                                       text("7"),
                                       text("1500000"),
                                       {.kind = STORE_NUMBER, .number = 1}}};
    answer.whole = (struct store_reply){.kind = STORE_LIST, .count = ITEMS, .items = answer.items};
    return &answer;
}

static void a_request_is_put_in_the_words_of_the_script(void **state)
{
    static const char *const expected[TURN_WORDS] = {"me", "10000", "20", "3", "2000000", "1", "9",    "2",
                                                     "1",  "500",   "2",  "7", "5000000", "6", "hint:"};
    const struct turn_request request = {.period_us = 10000,
                                         .burst = 20,
                                         .wanted = 3,
                                         .patience_us = 2000000,
                                         .back = 1,
                                         .taken_us = 9,
                                         .spent = 2,
                                         .adrift = true,
                                         .pause_us = 500,
                                         .word = TURN_WENT_WELL,
                                         .round = 7,
                                         .deadline_us = 5000000,
                                         .life_us = 6};
    struct script_words words;

    (void)state;
    turn_put_words(&words, &request, SPAN_LIT("me"), SPAN_LIT("hint:"));
    assert_int_equal(words.count, TURN_WORDS);
    for (int i = 0; i < TURN_WORDS; i++)
        assert_true(span_eq(words.words[i], span_of(expected[i])));
}

static void an_answer_is_read(void **state)
{
    struct turn_reply reply;

    (void)state;
    assert_true(turn_read_reply(&good()->whole, &reply));
    assert_int_equal(reply.time_us, 1700000000000000);
    assert_int_equal(reply.granted, 3);
    assert_int_equal(reply.due_us, -190000);
    assert_int_equal(reply.beyond_us, 5000);
    assert_int_equal(reply.pace_us, 20000);
    assert_int_equal(reply.round, 7);
    assert_int_equal(reply.pause_us, 1500000);
    assert_int_equal(reply.state, TURN_FIRST);
}

static void what_is_out_of_form_is_no_answer(void **state)
{
    static const struct {
        int item;
        const char *text;
    } bad[] = {{0, "-1"}, {0, ""},   {1, "-1"}, {1, "1000000001"}, {2, "9223372036854775807"},
               {3, "-1"}, {4, "x"},  {5, "-2"}, {6, "-1"},         {7, "-1"},
               {8, "3"},  {8, "-1"}, {8, "1.5"}};
    struct turn_reply reply;
    struct answer *answer;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        answer = good();
        answer->items[bad[i].item] = text(bad[i].text);
        assert_false(turn_read_reply(&answer->whole, &reply));
    }
    answer = good();
    answer->whole.count = ITEMS - 1;
    assert_false(turn_read_reply(&answer->whole, &reply));
    assert_false(turn_read_reply(&good()->items[0], &reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_put_in_the_words_of_the_script),
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(what_is_out_of_form_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
