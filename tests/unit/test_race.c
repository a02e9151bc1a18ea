/* The race of addresses, to the millisecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "core/race.h"

#define START_MS 5000

static struct race the_race;
static int64_t now_ms; /* since the race began */
static char
    diary[512]; /* "250+1 1250-1 1300lost": place 1 was started and given up, and then none was left */
static int64_t woken_ms; /* what the last RACE_WAIT asked for; -1: nothing but an event */

static int64_t at_ns(int64_t ms)
{
    return (START_MS + ms) * NS_PER_MS;
}

static void begin_within(uint32_t count, int64_t stagger_ms, int64_t limit_ms)
{
    now_ms = 0;
    diary[0] = '\0';
    race_begin(&the_race, count, stagger_ms * NS_PER_MS, at_ns(0), limit_ms < 0 ? NS_NEVER : at_ns(limit_ms));
}

static void begin(uint32_t count)
{
    begin_within(count, 250, -1);
}

static void write_down(const char *what, unsigned place)
{
    size_t len = strlen(diary);
    int more =
        place < RACE_ADDRESSES
            ? snprintf(diary + len, sizeof(diary) - len, "%s%d%s%u", len ? " " : "", (int)now_ms, what, place)
            : snprintf(diary + len, sizeof(diary) - len, "%s%d%s", len ? " " : "", (int)now_ms, what);

    assert_true(more > 0 && len + (size_t)more < sizeof(diary));
}

/* Does all that the race wants done until then. */
static void pass(int64_t to_ms)
{
    for (;;) {
        struct race_step step = race_next(&the_race, at_ns(now_ms));

        switch (step.verb) {
        case RACE_START: write_down("+", step.place); break;
        case RACE_GIVE_UP: write_down("-", step.place); break;
        case RACE_LOST: write_down("lost", RACE_ADDRESSES); return;
        case RACE_WAIT:
            woken_ms = step.until_ns == NS_NEVER ? -1 : step.until_ns / NS_PER_MS - START_MS;
            if (step.until_ns > at_ns(to_ms)) {
                now_ms = to_ms;
                return;
            }
            assert_true(step.until_ns > at_ns(now_ms));
            now_ms = woken_ms;
        }
    }
}

static unsigned lane_of(unsigned place)
{
    unsigned lane = 0;

    while (!the_race.lanes[lane].is_taken || the_race.lanes[lane].place != place)
        assert_true(++lane < RACE_LANES);
    return lane;
}

static void connected(unsigned place)
{
    race_connected(&the_race, lane_of(place), at_ns(now_ms));
}

static void failed(unsigned place)
{
    race_failed(&the_race, lane_of(place));
}

/* ---- when ---------------------------------------------------------------------------------------------- */

static void one_address_is_started_at_once_and_waited_for(void **state)
{
    begin(1);
    pass(100000);
    assert_string_equal(diary, "0+0");
    assert_int_equal(woken_ms, -1);
    failed(0);
    pass(100000);
    assert_string_equal(diary, "0+0 100000lost");
}

static void the_next_address_is_started_after_a_stagger(void **state)
{
    begin(3);
    pass(249);
    assert_string_equal(diary, "0+0");
    assert_int_equal(woken_ms, 250);
    pass(2000);
    assert_string_equal(diary, "0+0 250+1 500+2");
    assert_int_equal(woken_ms, -1);
}

static void the_next_address_is_started_at_once_when_the_one_before_has_failed(void **state)
{
    begin(4);
    pass(10);
    failed(0);
    pass(17);
    failed(1);
    pass(266);
    assert_string_equal(diary, "0+0 10+1 17+2");
    pass(267);
    assert_string_equal(diary, "0+0 10+1 17+2 267+3");
}

static void a_failure_beside_one_without_patience_starts_the_next_at_once(void **state)
{
    begin(3);
    pass(260);
    failed(1);
    pass(260);
    assert_string_equal(diary, "0+0 250+1 260+2");
}

static void a_failure_beside_one_that_has_patience_starts_nobody(void **state)
{
    begin(3);
    pass(260);
    connected(0); /* has 3 * 260 ms for TLS */
    failed(1);
    pass(2000);
    assert_string_equal(diary, "0+0 250+1 1040+2");
}

static void when_all_have_failed_the_race_is_lost(void **state)
{
    begin(2);
    pass(1);
    failed(0);
    pass(2);
    failed(1);
    pass(3);
    assert_string_equal(diary, "0+0 1+1 2lost");
}

static void attempts_in_flight_go_on_after_the_last_address(void **state)
{
    begin(2);
    pass(400);
    failed(1);
    pass(9000);
    assert_string_equal(diary, "0+0 250+1");
    failed(0);
    pass(9000);
    assert_string_equal(diary, "0+0 250+1 9000lost");
}

/* ---- TLS ----------------------------------------------------------------------------------------------- */

static void a_handshake_near_by_has_a_stagger(void **state)
{
    begin(2);
    pass(20);
    connected(0);
    pass(269);
    assert_string_equal(diary, "0+0");
    pass(270);
    assert_string_equal(diary, "0+0 270+1");
}

static void a_handshake_far_away_has_three_times_as_long_as_tcp_took(void **state)
{
    begin(2);
    pass(200);
    connected(0);
    pass(799);
    assert_string_equal(diary, "0+0");
    pass(800);
    assert_string_equal(diary, "0+0 800+1");
}

static void tcp_that_comes_after_the_stagger_holds_back_the_third(void **state)
{
    begin(3);
    pass(400);
    connected(0);
    pass(1599);
    assert_string_equal(diary, "0+0 250+1");
    pass(1600);
    assert_string_equal(diary, "0+0 250+1 1600+2");
}

/* ---- lanes --------------------------------------------------------------------------------------------- */

static void the_fifth_address_takes_the_lane_of_the_oldest_but_the_first(void **state)
{
    begin(5);
    pass(100000);
    assert_string_equal(diary, "0+0 250+1 500+2 750+3 1250-1 1250+4");
    assert_int_equal(the_race.lanes[lane_of(0)].place, 0);
}

static void twelve_silent_addresses_have_at_least_a_second_each(void **state)
{
    begin(12);
    pass(100000);
    assert_string_equal(diary,
                        "0+0 250+1 500+2 750+3 1250-1 1250+4 1500-2 1500+5 1750-3 1750+6 2250-4 2250+7 "
                        "2500-5 2500+8 2750-6 2750+9 3250-7 3250+10 3500-8 3500+11");
}

static void a_short_stagger_gives_no_attempt_up_before_its_chance(void **state)
{
    begin_within(6, 10, -1);
    pass(100000);
    assert_string_equal(diary, "0+0 10+1 20+2 30+3 1010-1 1010+4 1020-2 1020+5");
}

static void a_lane_that_is_free_is_used_before_an_attempt_is_given_up(void **state)
{
    begin(6);
    pass(900);
    failed(2);
    pass(1300);
    assert_string_equal(diary, "0+0 250+1 500+2 750+3 1000+4 1250-1 1250+5");
}

static void after_the_first_has_failed_the_oldest_is_given_up(void **state)
{
    begin(6);
    pass(800);
    failed(0);
    pass(1300);
    assert_string_equal(diary, "0+0 250+1 500+2 750+3 1000+4 1250-1 1250+5");
}

static void thirty_two_addresses_that_refuse_have_their_turn(void **state)
{
    begin(RACE_ADDRESSES);
    for (unsigned place = 0; place < RACE_ADDRESSES; place++) {
        pass(0);
        failed(place);
    }
    pass(0);
    assert_non_null(strstr(diary, "0+31 0lost"));
}

/* ---- a short race -------------------------------------------------------------------------------------- */

static void the_second_address_has_its_turn_when_half_of_a_short_time_is_over(void **state)
{
    begin_within(3, 250, 200);
    pass(199);
    assert_string_equal(diary, "0+0 100+1");
    begin_within(3, 250, 2000);
    pass(600);
    assert_string_equal(diary, "0+0 250+1 500+2");
}

static void hardly_any_time_starts_nobody_in_a_hurry(void **state)
{
    begin_within(3, 250, 2);
    pass(49);
    assert_string_equal(diary, "0+0");
    begin_within(3, 250, -5 * 1000);
    pass(49);
    assert_string_equal(diary, "0+0");
    begin_within(3, 20, 30);
    pass(49);
    assert_string_equal(diary, "0+0 20+1 40+2");
}

/* ---- our own shortage, certificates -------------------------------------------------------------------- */

static void a_shortage_with_nobody_on_the_way_loses_the_race(void **state)
{
    begin(3);
    pass(0);
    race_put_off(&the_race, lane_of(0), at_ns(0));
    pass(1000);
    assert_string_equal(diary, "0+0 0lost");
}

static void after_a_shortage_the_same_address_is_tried_again_a_stagger_later(void **state)
{
    begin(3);
    pass(250);
    race_put_off(&the_race, lane_of(1), at_ns(250));
    pass(499);
    assert_string_equal(diary, "0+0 250+1");
    pass(800);
    assert_string_equal(diary, "0+0 250+1 500+1 750+2");
}

static void a_certificate_that_is_not_trusted_is_tried_at_one_other_address(void **state)
{
    begin(3);
    pass(20);
    connected(0);
    race_distrusted(&the_race, lane_of(0));
    pass(30);
    race_distrusted(&the_race, lane_of(1));
    pass(40);
    assert_string_equal(diary, "0+0 20+1 30lost");
}

/* ---- who was passed ------------------------------------------------------------------------------------ */

static void what_began_before_the_winner_was_passed(void **state)
{
    begin(4);
    pass(600);
    assert_true(race_is_passed(&the_race, lane_of(0), 1));
    assert_false(race_is_passed(&the_race, lane_of(1), 1));
    assert_false(race_is_passed(&the_race, lane_of(2), 1));
    assert_false(race_is_passed(&the_race, lane_of(0), 0));
    assert_false(race_is_passed(&the_race, 3, 3)); /* free */
}

static void when_all_have_had_their_turn_in_silence_there_is_no_hope(void **state)
{
    begin(2);
    pass(499);
    assert_false(race_is_hopeless(&the_race, at_ns(249)));
    assert_false(race_is_hopeless(&the_race, at_ns(499)));
    assert_true(race_is_hopeless(&the_race, at_ns(500)));
    connected(1);
    assert_false(race_is_hopeless(&the_race, at_ns(500)));
    begin(2);
    pass(249);
    assert_false(race_is_hopeless(&the_race, at_ns(300))); /* the second has not begun */
}

/* ---- the order ----------------------------------------------------------------------------------------- */

/* Letters: addresses in the resolver's order, capitals are IPv6, those in `bad` have failed. */
static void assert_order(const char *addresses, const char *bad, uint32_t turn, const char *expected)
{
    uint8_t order[RACE_ADDRESSES];
    char text[RACE_ADDRESSES + 1] = "";
    uint32_t count = (uint32_t)strlen(addresses), ipv6 = 0, bad_bits = 0;

    for (uint32_t i = 0; i < count; i++) {
        ipv6 |= addresses[i] < 'a' ? UINT32_C(1) << i : 0;
        bad_bits |= strchr(bad, addresses[i]) != NULL ? UINT32_C(1) << i : 0;
    }
    race_order(order, count, ipv6, bad_bits, turn);
    for (uint32_t i = 0; i < count; i++)
        text[i] = addresses[order[i]];
    assert_string_equal(text, expected);
}

static void families_alternate_with_the_first_choice_in_front(void **state)
{
    assert_order("a", "", 0, "a");
    assert_order("abc", "", 0, "abc");
    assert_order("ABCabc", "", 0, "AaBbCc");
    assert_order("abcA", "", 0, "aAbc");
    assert_order("aABCD", "", 0, "aABCD");
    assert_order("AabBcd", "", 0, "AaBbcd");
}

static void addresses_that_have_failed_go_last(void **state)
{
    assert_order("abc", "a", 0, "bca");
    assert_order("ABab", "A", 0, "BabA");
    assert_order("ABab", "AB", 0, "abAB");
    assert_order("ABCab", "BCb", 0, "AaBbC");
}

static void if_all_have_failed_the_order_is_as_without_memory(void **state)
{
    assert_order("abc", "abc", 1, "abc");
    assert_order("a", "a", 7, "a");
    assert_order("ABab", "ABab", 3, "AaBb");
}

static void each_turn_begins_with_the_next_good_address_of_the_preferred_family(void **state)
{
    assert_order("abc", "", 1, "bca");
    assert_order("abc", "", 2, "cab");
    assert_order("abc", "", 3, "abc");
    assert_order("abc", "b", 1, "cab");
    assert_order("ABab", "", 1, "BaAb");
    assert_order("Aabc", "", 1, "Aabc"); /* IPv6 is preferred, and there is one */
    assert_order("abc", "", UINT32_MAX, "abc");
}

static void thirty_two_addresses_are_put_in_order(void **state)
{
    uint8_t order[RACE_ADDRESSES];
    uint32_t seen = 0;

    race_order(order, RACE_ADDRESSES, 0xaaaaaaaa, 0x0f0f0f0f, 5);
    for (uint32_t i = 0; i < RACE_ADDRESSES; i++)
        seen |= UINT32_C(1) << order[i];
    assert_int_equal(seen, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_is_started_at_once_and_waited_for),
        cmocka_unit_test(the_next_address_is_started_after_a_stagger),
        cmocka_unit_test(the_next_address_is_started_at_once_when_the_one_before_has_failed),
        cmocka_unit_test(a_failure_beside_one_without_patience_starts_the_next_at_once),
        cmocka_unit_test(a_failure_beside_one_that_has_patience_starts_nobody),
        cmocka_unit_test(when_all_have_failed_the_race_is_lost),
        cmocka_unit_test(attempts_in_flight_go_on_after_the_last_address),
        cmocka_unit_test(a_handshake_near_by_has_a_stagger),
        cmocka_unit_test(a_handshake_far_away_has_three_times_as_long_as_tcp_took),
        cmocka_unit_test(tcp_that_comes_after_the_stagger_holds_back_the_third),
        cmocka_unit_test(the_fifth_address_takes_the_lane_of_the_oldest_but_the_first),
        cmocka_unit_test(twelve_silent_addresses_have_at_least_a_second_each),
        cmocka_unit_test(a_short_stagger_gives_no_attempt_up_before_its_chance),
        cmocka_unit_test(a_lane_that_is_free_is_used_before_an_attempt_is_given_up),
        cmocka_unit_test(after_the_first_has_failed_the_oldest_is_given_up),
        cmocka_unit_test(thirty_two_addresses_that_refuse_have_their_turn),
        cmocka_unit_test(the_second_address_has_its_turn_when_half_of_a_short_time_is_over),
        cmocka_unit_test(hardly_any_time_starts_nobody_in_a_hurry),
        cmocka_unit_test(a_shortage_with_nobody_on_the_way_loses_the_race),
        cmocka_unit_test(after_a_shortage_the_same_address_is_tried_again_a_stagger_later),
        cmocka_unit_test(a_certificate_that_is_not_trusted_is_tried_at_one_other_address),
        cmocka_unit_test(what_began_before_the_winner_was_passed),
        cmocka_unit_test(when_all_have_had_their_turn_in_silence_there_is_no_hope),
        cmocka_unit_test(families_alternate_with_the_first_choice_in_front),
        cmocka_unit_test(addresses_that_have_failed_go_last),
        cmocka_unit_test(if_all_have_failed_the_order_is_as_without_memory),
        cmocka_unit_test(each_turn_begins_with_the_next_good_address_of_the_preferred_family),
        cmocka_unit_test(thirty_two_addresses_are_put_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
