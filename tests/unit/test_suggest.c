#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/suggest.h"

static const char *nearest(const char *word)
{
    static const char *const candidates[] = {"deadline", "listen", "url", "idle", "idle_timeout", "queue"};
    static char best[100];
    struct suggestion suggestion = suggest_for(span_of(word));

    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
        suggest_offer(&suggestion, span_of(candidates[i]));
    memcpy(best, suggestion.best.ptr ? suggestion.best.ptr : "", suggestion.best.len);
    best[suggestion.best.len] = '\0';
    return best;
}

static void a_slip_of_the_hand_is_understood(void **state)
{
    assert_string_equal(nearest("deadlin"), "deadline");
    assert_string_equal(nearest("dedline"), "deadline");
    assert_string_equal(nearest("deadlien"), "deadline");
    assert_string_equal(nearest("Deadline"), "deadline");
    assert_string_equal(nearest("ulr"), "url");
    assert_string_equal(nearest("idel"), "idle");
    assert_string_equal(nearest("idle_timout"), "idle_timeout");
    assert_string_equal(nearest("que"), "");
    assert_string_equal(nearest("qeue"), "queue");
}

static void another_word_gets_no_suggestion(void **state)
{
    assert_string_equal(nearest("retries"), "");
    assert_string_equal(nearest("x"), "");
    assert_string_equal(nearest(""), "");
    assert_string_equal(nearest("deadlinedeadlinedeadlinedeadlinedeadlinedeadlinedeadlinedeadlinedeadline"),
                        "");
}

static void the_text_is_the_end_of_a_sentence_or_nothing(void **state)
{
    struct suggestion suggestion = suggest_for(SPAN_LIT("lissen"));

    assert_string_equal(suggest_text(&suggestion).text, "");
    suggest_offer(&suggestion, SPAN_LIT("listen"));
    assert_string_equal(suggest_text(&suggestion).text, "; did you mean \"listen\"?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_hand_is_understood),
        cmocka_unit_test(another_word_gets_no_suggestion),
        cmocka_unit_test(the_text_is_the_end_of_a_sentence_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
