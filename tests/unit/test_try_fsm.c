/* The life of a try: where it may go, and what it gives back on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/number.h"
#include "core/try_fsm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * The table once more, written by hand: what a try holds (Q queue place, P permit, C pending connection, X exchange),
 * its call's phase ("": as before), and where it may go. From everywhere on the way a try can be over.
 */
static const struct row {
    const char *name, *holds, *phase, *next;
} rows[] = {
    {"IDLE", "", "", "QUEUED CONNECTING SENDING OVER"},
    {"QUEUED", "Q", "queue", "CONNECTING SENDING OVER"},
    {"CONNECTING", "PC", "", "SENDING OVER"},
    {"SENDING", "PX", "send", "CONNECTING WAITING STREAMING TUNNELING OVER"},
    {"WAITING", "PX", "wait", "CONNECTING STREAMING TUNNELING OVER"},
    {"STREAMING", "PX", "receive", "OVER"},
    {"TUNNELING", "PX", "tunnel", "OVER"},
    {"OVER", "", "", ""},
};

/* What is given back on the way to a state other than OVER, where it is something. */
static const struct {
    const char *from, *to, *gives_back;
} on_the_way[] = {
    {"SENDING", "CONNECTING", "X"},
    {"WAITING", "CONNECTING", "X"},
};

static unsigned holds_of(const char *letters)
{
    static const char all[] = "QPCX";
    unsigned holds = 0;

    for (; *letters != '\0'; letters++)
        holds |= 1u << (strchr(all, *letters) - all);
    return holds;
}

/* Names are no part of each other. */
static bool lists(const char *names, const char *name)
{
    return strstr(names, name) != NULL;
}

static unsigned wanted_back(const struct row *from, const struct row *to)
{
    if (strcmp(to->name, "OVER") == 0)
        return holds_of(from->holds);
    for (size_t i = 0; i < COUNT(on_the_way); i++)
        if (strcmp(on_the_way[i].from, from->name) == 0 && strcmp(on_the_way[i].to, to->name) == 0)
            return holds_of(on_the_way[i].gives_back);
    return 0;
}

/* A try in any state, as if it had come there. */
static struct try_fsm fsm_in(enum try_state state)
{
    struct try_fsm fsm;

    memset(&fsm, 0, sizeof(fsm)); /* compared by bytes */
    try_fsm_begin(&fsm);
    try_fsm_set_limit(&fsm, 3000, CAUSE_IDLE_LIMIT);
    fsm.state = state;
    fsm.sent = SENT_PARTIAL;
    return fsm;
}

static void the_states_hold_what_the_table_says(void **state)
{
    assert_int_equal(COUNT(rows), TRY_STATE_COUNT);
    for (enum try_state s = 0; s < TRY_STATE_COUNT; s++) {
        enum phase phase = try_state_phase(s);

        assert_string_equal(try_state_name(s), rows[s].name);
        assert_int_equal(try_state_holds(s), holds_of(rows[s].holds));
        assert_string_equal(phase == PHASE_COUNT ? "" : phase_name(phase), rows[s].phase);
    }
}

static void a_try_moves_where_the_table_allows_and_gives_back_what_it_holds_no_more(void **state)
{
    for (enum try_state from = 0; from < TRY_STATE_COUNT; from++)
        for (enum try_state to = 0; to < TRY_STATE_COUNT; to++) {
            struct try_fsm fsm = fsm_in(from), before = fsm;
            bool allowed = lists(rows[from].next, rows[to].name);
            unsigned give_back = 0x5a;

            assert_int_equal(try_fsm_may_move(from, to), allowed);
            assert_int_equal(try_fsm_move(&fsm, to, &give_back), allowed);
            if (!allowed) {
                assert_memory_equal(&fsm, &before, sizeof(fsm));
                assert_int_equal(give_back, 0x5a);
                continue;
            }
            assert_int_equal(fsm.state, to);
            assert_int_equal(give_back, wanted_back(&rows[from], &rows[to]));
            assert_int_equal(fsm.limit_ns, NS_NEVER); /* it was that of the state before */
            assert_int_equal(fsm.sent, SENT_PARTIAL); /* what was seen stays seen */
        }
}

static void a_connection_is_held_only_together_with_a_permit(void **state)
{
    for (enum try_state s = 0; s < TRY_STATE_COUNT; s++) {
        unsigned holds = try_state_holds(s);

        if ((holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0)
            assert_true((holds & HOLD_PERMIT) != 0);
        assert_true((holds & (HOLD_QUEUE | HOLD_PERMIT)) != (HOLD_QUEUE | HOLD_PERMIT));
    }
}

static void a_try_that_holds_something_is_alive_and_bytes_move_while_it_has_an_exchange(void **state)
{
    for (enum try_state s = 0; s < TRY_STATE_COUNT; s++) {
        struct try_fsm fsm = fsm_in(s);

        assert_int_equal(try_fsm_is_alive(&fsm), try_state_holds(s) != 0);
        assert_int_equal(try_fsm_is_exchanging(&fsm), (try_state_holds(s) & HOLD_EXCHANGE) != 0);
    }
}

static void a_try_begins_with_nothing_sent_and_no_limit(void **state)
{
    struct try_fsm fsm;

    memset(&fsm, 0xff, sizeof(fsm));
    try_fsm_begin(&fsm);
    assert_int_equal(fsm.state, TRY_IDLE);
    assert_int_equal(fsm.sent, SENT_NONE);
    assert_int_equal(fsm.limit_ns, NS_NEVER);
}

static void what_was_sent_never_becomes_less(void **state)
{
    struct try_fsm fsm;

    try_fsm_begin(&fsm);
    try_fsm_note_sent(&fsm, SENT_COMPLETE);
    try_fsm_note_sent(&fsm, SENT_PARTIAL);
    assert_int_equal(fsm.sent, SENT_COMPLETE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_states_hold_what_the_table_says),
        cmocka_unit_test(a_try_moves_where_the_table_allows_and_gives_back_what_it_holds_no_more),
        cmocka_unit_test(a_connection_is_held_only_together_with_a_permit),
        cmocka_unit_test(a_try_that_holds_something_is_alive_and_bytes_move_while_it_has_an_exchange),
        cmocka_unit_test(a_try_begins_with_nothing_sent_and_no_limit),
        cmocka_unit_test(what_was_sent_never_becomes_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
