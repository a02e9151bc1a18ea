/* The life of a call: where it may go, what it gives back on the way, and where its time went. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "core/call_fsm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * The table once more, written by hand: what a call holds (T timer, A a try that is alive), its phase ("": as before),
 * and where it may go. From every state on the way a call can end by its deadline or the end of a drain (STUCK), its
 * caller (GONE) and curfew's own fault (FAILED); and, as long as it has held no permit, by a refusal (REFUSED).
 */
static const struct row {
    const char *name, *holds, *phase, *next;
} rows[] = {
    {"READING", "T", "upload", "TRYING REFUSED STUCK FAILED GONE"},
    {"TRYING", "TA", "", "BACKOFF RESPONDING TUNNEL DELIVERING REFUSED STUCK FAILED GONE"},
    {"BACKOFF", "T", "backoff", "TRYING DELIVERING STUCK FAILED GONE"},
    {"RESPONDING", "TA", "", "DELIVERING DONE STUCK FAILED GONE"},
    {"TUNNEL", "TA", "", "DONE STUCK FAILED GONE"},
    {"DELIVERING", "T", "", "DONE STUCK FAILED GONE"},
    {"DONE", "", "", ""},
    {"REFUSED", "", "", ""},
    {"STUCK", "", "", ""},
    {"FAILED", "", "", ""},
    {"GONE", "", "", ""},
};

/* What is given back on the way to a state that is not final; every final state gives back all. */
static const struct {
    const char *from, *to, *gives_back;
} on_the_way[] = {
    {"READING", "TRYING", ""},         {"TRYING", "RESPONDING", ""}, {"TRYING", "BACKOFF", "A"},
    {"TRYING", "DELIVERING", "A"},     {"BACKOFF", "TRYING", ""},    {"BACKOFF", "DELIVERING", ""},
    {"RESPONDING", "DELIVERING", "A"}, {"TRYING", "TUNNEL", ""},
};

static unsigned holds_of(const char *letters)
{
    static const char all[] = "TA";
    unsigned holds = 0;

    for (; *letters != '\0'; letters++)
        holds |= 1u << (strchr(all, *letters) - all);
    return holds;
}

static bool lists(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = names; (at = strstr(at, name)) != NULL; at += len)
        if ((at == names || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static unsigned wanted_back(const struct row *from, const struct row *to)
{
    for (size_t i = 0; i < COUNT(on_the_way); i++)
        if (strcmp(on_the_way[i].from, from->name) == 0 && strcmp(on_the_way[i].to, to->name) == 0)
            return holds_of(on_the_way[i].gives_back);
    assert_string_equal(to->next, "");
    return holds_of(from->holds);
}

/* A call in any state, as if it had come there. */
static struct call_fsm fsm_in(enum call_state state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 1000, 5000);
    call_fsm_set_limit(&fsm, 3000, CAUSE_IDLE_LIMIT);
    fsm.state = state;
    fsm.sent = SENT_PARTIAL;
    return fsm;
}

static bool may_move(enum call_state from, enum call_state to)
{
    struct call_fsm fsm = fsm_in(from);

    return call_fsm_may_move(&fsm, to);
}

static void the_states_hold_what_the_table_says(void **state)
{
    assert_int_equal(COUNT(rows), CALL_STATE_COUNT);
    for (enum call_state s = 0; s < CALL_STATE_COUNT; s++) {
        assert_string_equal(call_state_name(s), rows[s].name);
        assert_int_equal(call_state_holds(s), holds_of(rows[s].holds));
        assert_int_equal(call_state_is_final(s), rows[s].next[0] == '\0');
    }
}

static void a_call_moves_where_the_table_allows_and_nowhere_else(void **state)
{
    for (enum call_state from = 0; from < CALL_STATE_COUNT; from++)
        for (enum call_state to = 0; to < CALL_STATE_COUNT; to++) {
            struct call_fsm fsm = fsm_in(from);
            bool allowed = lists(rows[from].next, rows[to].name);
            unsigned give_back;

            assert_int_equal(call_fsm_may_move(&fsm, to), allowed);
            assert_int_equal(call_fsm_move(&fsm, to, 2000, &give_back), allowed);
            assert_int_equal(fsm.state, allowed ? to : from);
        }
}

static void a_refused_move_changes_nothing(void **state)
{
    for (enum call_state from = 0; from < CALL_STATE_COUNT; from++)
        for (enum call_state to = 0; to < CALL_STATE_COUNT; to++) {
            struct call_fsm fsm = fsm_in(from), before = fsm;
            unsigned give_back = 0x5a;

            if (lists(rows[from].next, rows[to].name))
                continue;
            assert_false(call_fsm_move(&fsm, to, 2000, &give_back));
            assert_memory_equal(&fsm, &before, sizeof(fsm));
            assert_int_equal(give_back, 0x5a);
        }
}

static void each_move_gives_back_what_the_new_state_does_not_hold(void **state)
{
    for (enum call_state from = 0; from < CALL_STATE_COUNT; from++)
        for (enum call_state to = 0; to < CALL_STATE_COUNT; to++) {
            struct call_fsm fsm = fsm_in(from);
            unsigned give_back = 0x5a;

            if (!lists(rows[from].next, rows[to].name))
                continue;
            assert_true(call_fsm_move(&fsm, to, 2000, &give_back));
            assert_int_equal(give_back, wanted_back(&rows[from], &rows[to]));
        }
}

static void a_final_state_holds_nothing_and_has_no_way_on(void **state)
{
    for (enum call_state s = CALL_DONE; s < CALL_STATE_COUNT; s++) {
        assert_true(call_state_is_final(s));
        assert_int_equal(call_state_holds(s), 0);
        for (enum call_state to = 0; to < CALL_STATE_COUNT; to++)
            assert_false(may_move(s, to));
    }
}

static void from_everywhere_on_the_way_a_call_can_get_stuck_fail_and_be_left(void **state)
{
    static const enum call_state ends[] = {CALL_STUCK, CALL_FAILED, CALL_GONE};

    for (enum call_state s = 0; s < CALL_DONE; s++) {
        assert_false(call_state_is_final(s));
        assert_true((call_state_holds(s) & HOLD_TIMER) != 0);
        for (size_t i = 0; i < COUNT(ends); i++)
            assert_true(may_move(s, ends[i]));
    }
}

static void a_shutdown_refuses_what_never_held_a_permit_and_cuts_the_rest(void **state)
{
    for (enum call_state s = 0; s < CALL_DONE; s++) {
        struct call_fsm fsm = fsm_in(s);
        bool early = s <= CALL_TRYING;

        assert_int_equal(call_fsm_shutdown(&fsm), early ? CAUSE_DRAINING : CAUSE_DRAIN_OVER);
        assert_int_equal(call_fsm_may_move(&fsm, CALL_REFUSED), early);
        call_fsm_admit(&fsm);
        assert_int_equal(call_fsm_shutdown(&fsm), CAUSE_DRAIN_OVER);
        assert_false(call_fsm_may_move(&fsm, CALL_REFUSED));
    }
}

static void every_state_can_be_reached_and_leads_to_done(void **state)
{
    bool reached[CALL_STATE_COUNT] = {[CALL_READING] = true}, leads[CALL_STATE_COUNT] = {[CALL_DONE] = true};

    for (int round = 0; round < CALL_STATE_COUNT; round++)
        for (enum call_state from = 0; from < CALL_STATE_COUNT; from++)
            for (enum call_state to = 0; to < CALL_STATE_COUNT; to++)
                if (may_move(from, to)) {
                    reached[to] |= reached[from];
                    leads[from] |= leads[to];
                }
    for (enum call_state s = 0; s < CALL_STATE_COUNT; s++) {
        assert_true(reached[s]);
        assert_int_equal(leads[s], s <= CALL_DONE);
    }
}

static void a_call_begins_reading_with_nothing_sent(void **state)
{
    struct call_fsm fsm;

    memset(&fsm, 0xff, sizeof(fsm));
    call_fsm_begin(&fsm, 7, 2 * NS_PER_S);
    assert_int_equal(fsm.state, CALL_READING);
    assert_int_equal(fsm.phase, PHASE_UPLOAD);
    assert_int_equal(fsm.sent, SENT_NONE);
    assert_int_equal(fsm.begun_ns, 7);
    assert_int_equal(fsm.deadline_ns, 2 * NS_PER_S);
    assert_int_equal(fsm.limit_ns, NS_NEVER);
    assert_int_equal(call_fsm_next_ns(&fsm), 2 * NS_PER_S);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        assert_int_equal(call_fsm_phase_ns(&fsm, phase, 7), 0);
}

static void a_state_enters_its_phase_or_stays_in_the_one_before(void **state)
{
    for (enum call_state from = 0; from < CALL_STATE_COUNT; from++)
        for (enum call_state to = 0; to < CALL_STATE_COUNT; to++) {
            struct call_fsm fsm = fsm_in(from);
            unsigned give_back;

            fsm.phase = PHASE_TLS;
            if (!call_fsm_move(&fsm, to, 2000, &give_back))
                continue;
            assert_string_equal(phase_name(fsm.phase), rows[to].phase[0] != '\0' ? rows[to].phase : "tls");
        }
}

static void a_whole_call_is_accounted_for_to_the_nanosecond(void **state)
{
    static const struct {
        int64_t at_ns;
        enum call_state to; /* CALL_READING: only a phase is entered */
        enum phase phase;
        unsigned gives_back;
    } steps[] = {
        {100, CALL_TRYING, 0, 0},
        {100, CALL_READING, PHASE_QUEUE, 0},
        {353, CALL_READING, PHASE_DNS, 0},
        {400, CALL_READING, PHASE_CONNECT, 0},
        {411, CALL_READING, PHASE_TLS, 0},
        {500, CALL_READING, PHASE_CONNECT, 0}, /* the next address */
        {600, CALL_READING, PHASE_SEND, 0},
        {700, CALL_READING, PHASE_WAIT, 0},
        {1000, CALL_READING, PHASE_RECEIVE, 0},
        {1000, CALL_RESPONDING, 0, 0},
        {1001, CALL_DELIVERING, 0, HOLD_TRY},
        {2000, CALL_DONE, 0, HOLD_TIMER},
    };
    static const int64_t want_ns[PHASE_COUNT] = {
        [PHASE_UPLOAD] = 100, [PHASE_QUEUE] = 253, [PHASE_DNS] = 47,   [PHASE_CONNECT] = 11 + 100,
        [PHASE_TLS] = 89,     [PHASE_SEND] = 100,  [PHASE_WAIT] = 300, [PHASE_RECEIVE] = 1000,
    };
    struct call_fsm fsm;
    unsigned give_back;

    call_fsm_begin(&fsm, 0, 5000);
    for (size_t i = 0; i < COUNT(steps); i++) {
        if (steps[i].to == CALL_READING) {
            call_fsm_enter_phase(&fsm, steps[i].phase, steps[i].at_ns);
            continue;
        }
        assert_true(call_fsm_move(&fsm, steps[i].to, steps[i].at_ns, &give_back));
        assert_int_equal(give_back, steps[i].gives_back);
    }
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        assert_int_equal(call_fsm_phase_ns(&fsm, phase, 2000), want_ns[phase]);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void on_any_way_the_phases_sum_up_to_what_has_elapsed(void **state)
{
    uint32_t seed = 3;

    for (int walk = 0; walk < 2000; walk++) {
        int64_t begun_ns = next_random(&seed), now_ns = begun_ns;
        struct call_fsm fsm;

        call_fsm_begin(&fsm, begun_ns, NS_NEVER);
        while (!call_state_is_final(fsm.state)) {
            int64_t sum_ns = 0;
            unsigned give_back;

            now_ns += next_random(&seed) % 1000;
            if (next_random(&seed) % 4 == 0)
                call_fsm_enter_phase(&fsm, next_random(&seed) % PHASE_COUNT, now_ns);
            if (call_fsm_move(&fsm, next_random(&seed) % CALL_STATE_COUNT, now_ns, &give_back))
                assert_int_equal(give_back & call_state_holds(fsm.state), 0);
            now_ns += next_random(&seed) % 1000;
            for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
                sum_ns += call_fsm_phase_ns(&fsm, phase, now_ns);
            assert_int_equal(sum_ns, now_ns - begun_ns);
        }
    }
}

static void the_earlier_of_deadline_and_limit_comes_next(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 0, 2000);
    assert_int_equal(call_fsm_next_ns(&fsm), 2000);
    call_fsm_set_limit(&fsm, 500, CAUSE_CONNECT_LIMIT);
    assert_int_equal(call_fsm_next_ns(&fsm), 500);
    call_fsm_set_limit(&fsm, 3000, CAUSE_IDLE_LIMIT);
    assert_int_equal(call_fsm_next_ns(&fsm), 2000);
    call_fsm_set_limit(&fsm, NS_NEVER, CAUSE_NONE);
    assert_int_equal(call_fsm_next_ns(&fsm), 2000);
}

static void a_limit_expires_at_its_instant_with_its_cause_and_the_deadline_before_it(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 0, 2000);
    assert_int_equal(call_fsm_expired(&fsm, 1999), CAUSE_NONE);
    assert_int_equal(call_fsm_expired(&fsm, 2000), CAUSE_DEADLINE);
    call_fsm_set_limit(&fsm, 500, CAUSE_FIRST_BYTE_LIMIT);
    assert_int_equal(call_fsm_expired(&fsm, 499), CAUSE_NONE);
    assert_int_equal(call_fsm_expired(&fsm, 500), CAUSE_FIRST_BYTE_LIMIT);
    assert_int_equal(call_fsm_expired(&fsm, 1999), CAUSE_FIRST_BYTE_LIMIT);
    assert_int_equal(call_fsm_expired(&fsm, 2000), CAUSE_DEADLINE);
    call_fsm_set_limit(&fsm, 2000, CAUSE_QUEUE_LIMIT);
    assert_int_equal(call_fsm_expired(&fsm, 2000), CAUSE_DEADLINE);
}

static void nothing_that_happens_to_a_call_moves_its_deadline(void **state)
{
    static const enum call_state way[] = {CALL_TRYING, CALL_RESPONDING, CALL_DELIVERING, CALL_STUCK};
    struct call_fsm fsm;
    unsigned give_back;

    call_fsm_begin(&fsm, 0, 2000);
    for (size_t i = 0; i < COUNT(way); i++) {
        int64_t now_ns = (int64_t)(i + 1) * 100;

        assert_true(call_fsm_move(&fsm, way[i], now_ns, &give_back));
        call_fsm_set_limit(&fsm, now_ns + 10000, CAUSE_IDLE_LIMIT);
        assert_int_equal(call_fsm_next_ns(&fsm), 2000);
        call_fsm_set_limit(&fsm, now_ns + 50, CAUSE_IDLE_LIMIT);
        call_fsm_enter_phase(&fsm, PHASE_RECEIVE, now_ns);
        assert_int_equal(fsm.deadline_ns, 2000);
        assert_int_equal(call_fsm_expired(&fsm, 2000), CAUSE_DEADLINE);
    }
}

static void a_limit_ends_with_the_state_that_it_was_set_in(void **state)
{
    struct call_fsm fsm;
    unsigned give_back;

    call_fsm_begin(&fsm, 0, 2000);
    call_fsm_set_limit(&fsm, 500, CAUSE_HEAD_LIMIT);
    assert_true(call_fsm_move(&fsm, CALL_TRYING, 400, &give_back));
    assert_int_equal(fsm.limit_ns, NS_NEVER);
    assert_int_equal(call_fsm_expired(&fsm, 600), CAUSE_NONE);
}

static void the_times_name_the_phases_that_took_any_and_the_one_that_lasts(void **state)
{
    char block[256];
    struct text text = text_over(block, sizeof(block));
    struct jsonw json = jsonw_on(&text);
    struct call_fsm fsm;
    unsigned give_back;
    static const char want[] = "{\"budget_ms\":2000,\"elapsed_ms\":1750.5,"
                               "\"phases_ms\":{\"upload\":0.5,\"queue\":1750,\"send\":0}}";

    call_fsm_begin(&fsm, NS_PER_S, 3 * NS_PER_S);
    assert_true(call_fsm_move(&fsm, CALL_TRYING, NS_PER_S + 500 * NS_PER_US, &give_back));
    call_fsm_enter_phase(&fsm, PHASE_QUEUE, NS_PER_S + 500 * NS_PER_US);
    call_fsm_enter_phase(&fsm, PHASE_SEND, NS_PER_S + 1750500 * NS_PER_US);
    jsonw_open_object(&json, NULL);
    call_fsm_put_times(&json, &fsm, NS_PER_S + 1750500 * NS_PER_US);
    jsonw_close_object(&json);
    assert_false(text.overflow);
    assert_int_equal(text.len, strlen(want));
    assert_memory_equal(text.ptr, want, text.len);
}

static void assert_timing(const struct call_fsm *fsm, int64_t now_ns, const char *want)
{
    char block[CALL_TIMING_MAX];
    struct text text = text_over(block, sizeof(block));

    call_fsm_put_timing(&text, fsm, now_ns);
    assert_false(text.overflow);
    if (!span_eq(text_span(&text), span_of(want)))
        print_error("got %.*swant %s", SPAN_FMT(text_span(&text)), want);
    assert_true(span_eq(text_span(&text), span_of(want)));
}

static void server_timing_names_what_lies_between_caller_and_response(void **state)
{
    struct call_fsm fsm;
    unsigned give_back;

    call_fsm_begin(&fsm, 0, NS_PER_S);
    assert_timing(&fsm, NS_PER_MS, "");
    assert_true(call_fsm_move(&fsm, CALL_TRYING, NS_PER_MS, &give_back));
    assert_timing(&fsm, NS_PER_MS, "");
    call_fsm_enter_phase(&fsm, PHASE_QUEUE, NS_PER_MS);
    assert_timing(&fsm, NS_PER_MS, "Server-Timing: queue;dur=0\r\n");
    call_fsm_enter_phase(&fsm, PHASE_DNS, 2 * NS_PER_MS);
    call_fsm_enter_phase(&fsm, PHASE_CONNECT, 2 * NS_PER_MS);
    assert_timing(&fsm, 14 * NS_PER_MS + 123999, "Server-Timing: queue;dur=1, connect;dur=12.123\r\n");
    call_fsm_enter_phase(&fsm, PHASE_TLS, 14 * NS_PER_MS);
    call_fsm_enter_phase(&fsm, PHASE_SEND, 15 * NS_PER_MS);
    assert_timing(&fsm, 25 * NS_PER_MS, "Server-Timing: queue;dur=1, connect;dur=12, tls;dur=1\r\n");
    call_fsm_enter_phase(&fsm, PHASE_WAIT, 25 * NS_PER_MS);
    assert_timing(&fsm, 25 * NS_PER_MS,
                  "Server-Timing: queue;dur=1, connect;dur=12, tls;dur=1, wait;dur=0\r\n");
    call_fsm_enter_phase(&fsm, PHASE_RECEIVE, 125 * NS_PER_MS);
    assert_timing(&fsm, NS_PER_S, "Server-Timing: queue;dur=1, connect;dur=12, tls;dur=1, wait;dur=100\r\n");
}

/* The longest that a deadline allows, in each phase. */
static void server_timing_has_a_bound(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 0, NS_NEVER);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        fsm.phases_ns[phase] = 24 * 3600 * NS_PER_S - NS_PER_US;
    assert_timing(&fsm, 0,
                  "Server-Timing: queue;dur=86399999.999, dns;dur=86399999.999, connect;dur=86399999.999, "
                  "tls;dur=86399999.999, wait;dur=86399999.999\r\n");
}

/* ---- observed calls ------------------------------------------------------------------------------------ */

#define CEILING_NS (60 * NS_PER_S)

/* Begun at 1 s, with a deadline of 2 s that cuts nothing before the ceiling. */
static struct call_fsm observed(void)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, NS_PER_S, 3 * NS_PER_S);
    call_fsm_observe(&fsm, NS_PER_S + CEILING_NS, NS_PER_S);
    return fsm;
}

static void go(struct call_fsm *fsm, enum call_state to, int64_t now_ns)
{
    unsigned give_back;

    assert_true(call_fsm_move(fsm, to, now_ns, &give_back));
}

static void assert_spared(const struct call_fsm *fsm, enum cause cause, enum phase phase, int64_t at_ns)
{
    assert_int_equal(fsm->spared_cause, cause);
    if (cause == CAUSE_NONE)
        return;
    assert_int_equal(fsm->spared_phase, phase);
    assert_int_equal(fsm->spared_ns, at_ns);
}

static void an_observed_call_ends_at_the_ceiling(void **state)
{
    struct call_fsm fsm = observed();

    assert_int_equal(fsm.deadline_ns, NS_PER_S + CEILING_NS);
    assert_int_equal(call_fsm_budget_ns(&fsm), 2 * NS_PER_S);
    assert_int_equal(call_fsm_timer(&fsm, NS_PER_S + CEILING_NS - 1), CAUSE_NONE);
    assert_int_equal(call_fsm_timer(&fsm, NS_PER_S + CEILING_NS), CAUSE_DEADLINE);
}

static void a_ceiling_below_the_deadline_is_none(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 0, 90 * NS_PER_S);
    call_fsm_observe(&fsm, CEILING_NS, 0);
    assert_int_equal(fsm.deadline_ns, 90 * NS_PER_S);
    assert_int_equal(*call_fsm_policy_deadline(&fsm), 90 * NS_PER_S);
}

static void the_phase_at_the_deadline_is_found_when_the_call_leaves_it(void **state)
{
    struct call_fsm fsm = observed();

    go(&fsm, CALL_TRYING, NS_PER_S);
    call_fsm_enter_phase(&fsm, PHASE_QUEUE, NS_PER_S);
    call_fsm_enter_phase(&fsm, PHASE_SEND, 3 * NS_PER_S - 1);
    call_fsm_enter_phase(&fsm, PHASE_WAIT, 3 * NS_PER_S - 1);
    assert_spared(&fsm, CAUSE_NONE, 0, 0);
    call_fsm_enter_phase(&fsm, PHASE_RECEIVE, 9 * NS_PER_S);
    assert_spared(&fsm, CAUSE_DEADLINE, PHASE_WAIT, 3 * NS_PER_S);
    go(&fsm, CALL_RESPONDING, 9 * NS_PER_S);
    go(&fsm, CALL_DELIVERING, 10 * NS_PER_S);
    go(&fsm, CALL_DONE, 11 * NS_PER_S);
    assert_spared(&fsm, CAUSE_DEADLINE, PHASE_WAIT, 3 * NS_PER_S);
}

static void a_call_that_ends_in_time_is_not_spared(void **state)
{
    static const int64_t ends_ns[] = {3 * NS_PER_S - 1, 3 * NS_PER_S};

    for (size_t i = 0; i < COUNT(ends_ns); i++) {
        struct call_fsm fsm = observed();

        go(&fsm, CALL_TRYING, NS_PER_S);
        go(&fsm, CALL_FAILED, ends_ns[i]);
        assert_spared(&fsm, i == 0 ? CAUSE_NONE : CAUSE_DEADLINE, PHASE_UPLOAD, 3 * NS_PER_S);
    }
}

static void a_limit_of_an_observed_call_is_noted_and_taken_off(void **state)
{
    struct call_fsm fsm = observed();

    go(&fsm, CALL_TRYING, NS_PER_S);
    call_fsm_enter_phase(&fsm, PHASE_QUEUE, NS_PER_S);
    call_fsm_set_limit(&fsm, 2 * NS_PER_S, CAUSE_QUEUE_LIMIT);
    assert_int_equal(call_fsm_next_ns(&fsm), 2 * NS_PER_S);
    assert_int_equal(call_fsm_timer(&fsm, 2 * NS_PER_S - 1), CAUSE_NONE);
    assert_spared(&fsm, CAUSE_NONE, 0, 0);
    assert_int_equal(call_fsm_timer(&fsm, 2 * NS_PER_S + 5), CAUSE_NONE);
    assert_spared(&fsm, CAUSE_QUEUE_LIMIT, PHASE_QUEUE, 2 * NS_PER_S);
    assert_int_equal(call_fsm_next_ns(&fsm), fsm.deadline_ns);
    /* What passes later does not count again. */
    call_fsm_enter_phase(&fsm, PHASE_SEND, 20 * NS_PER_S);
    call_fsm_set_limit(&fsm, 21 * NS_PER_S, CAUSE_IDLE_LIMIT);
    assert_int_equal(call_fsm_timer(&fsm, 21 * NS_PER_S), CAUSE_NONE);
    assert_spared(&fsm, CAUSE_QUEUE_LIMIT, PHASE_QUEUE, 2 * NS_PER_S);
}

static void the_deadline_comes_before_a_limit_that_passes_later(void **state)
{
    struct call_fsm fsm = observed();

    call_fsm_set_limit(&fsm, 4 * NS_PER_S, CAUSE_IDLE_LIMIT);
    assert_int_equal(call_fsm_timer(&fsm, 4 * NS_PER_S), CAUSE_NONE);
    assert_spared(&fsm, CAUSE_DEADLINE, PHASE_UPLOAD, 3 * NS_PER_S);
}

static void the_time_of_a_request_head_is_kept_to(void **state)
{
    struct call_fsm fsm = observed();

    call_fsm_set_limit(&fsm, 2 * NS_PER_S, CAUSE_HEAD_LIMIT);
    assert_int_equal(call_fsm_timer(&fsm, 2 * NS_PER_S), CAUSE_HEAD_LIMIT);
}

static void what_another_route_brings_does_not_undo_what_has_passed(void **state)
{
    struct call_fsm fsm = observed();

    fsm.deadline_ns = 31 * NS_PER_S;
    call_fsm_observe(&fsm, NS_PER_S + CEILING_NS, 5 * NS_PER_S);
    assert_spared(&fsm, CAUSE_DEADLINE, PHASE_UPLOAD, 3 * NS_PER_S);
    assert_int_equal(call_fsm_budget_ns(&fsm), 30 * NS_PER_S);
    assert_int_equal(fsm.deadline_ns, NS_PER_S + CEILING_NS);
}

static void the_times_say_what_would_have_cut_a_call(void **state)
{
    static const char want[] =
        "{\"budget_ms\":60000,\"elapsed_ms\":4000,\"phases_ms\":{\"upload\":1000,\"wait\":2000,"
        "\"receive\":1000},\"spared\":{\"cause\":\"deadline\",\"phase\":\"wait\",\"after_ms\":2000}}";
    char block[512];
    struct text text = text_over(block, sizeof(block));
    struct jsonw json = jsonw_on(&text);
    struct call_fsm fsm = observed();

    call_fsm_enter_phase(&fsm, PHASE_WAIT, 2 * NS_PER_S);
    call_fsm_enter_phase(&fsm, PHASE_RECEIVE, 4 * NS_PER_S);
    jsonw_open_object(&json, NULL);
    call_fsm_put_times(&json, &fsm, 5 * NS_PER_S);
    jsonw_close_object(&json);
    assert_int_equal(text.len, strlen(want));
    assert_memory_equal(text.ptr, want, text.len);
}

/* ---- a response that has a deadline of its own ---------------------------------------------------------- */

static void a_deadline_is_replaced_by_another_one(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 1000, 6000);
    call_fsm_replace_deadline(&fsm, 91000, 5999);
    assert_int_equal(call_fsm_next_ns(&fsm), 91000);
    assert_int_equal(call_fsm_budget_ns(&fsm), 90000);
    assert_int_equal(call_fsm_expired(&fsm, 90999), CAUSE_NONE);
    assert_int_equal(call_fsm_expired(&fsm, 91000), CAUSE_DEADLINE);
    call_fsm_begin(&fsm, 1000, 6000);
    call_fsm_replace_deadline(&fsm, 2000, 1500);
    assert_int_equal(call_fsm_next_ns(&fsm), 2000);
}

static void an_observed_calls_ceiling_is_at_least_its_new_deadline(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 0, 5000);
    call_fsm_observe(&fsm, 60000, 0);
    call_fsm_replace_deadline(&fsm, 90000, 4000);
    assert_int_equal(fsm.deadline_ns, 90000);
    assert_int_equal(call_fsm_budget_ns(&fsm), 90000);
    call_fsm_begin(&fsm, 0, 5000);
    call_fsm_observe(&fsm, 60000, 0);
    call_fsm_replace_deadline(&fsm, 30000, 6000); /* too late for the first one, which is noted */
    assert_int_equal(fsm.deadline_ns, 60000);
    assert_int_equal(call_fsm_budget_ns(&fsm), 30000);
    assert_int_equal(fsm.spared_cause, CAUSE_DEADLINE);
    assert_int_equal(fsm.spared_ns, 5000);
}

/* ---- by when the response's content must have begun ---------------------------------------------------- */

static void the_limit_of_the_beginning_outlives_states_and_their_limits(void **state)
{
    struct call_fsm fsm;
    unsigned give_back;

    call_fsm_begin(&fsm, 0, 10000);
    call_fsm_set_begin(&fsm, 3000);
    assert_int_equal(call_fsm_next_ns(&fsm), 3000);
    assert_true(call_fsm_move(&fsm, CALL_TRYING, 10, &give_back));
    call_fsm_set_limit(&fsm, 2000, CAUSE_QUEUE_LIMIT);
    assert_int_equal(call_fsm_next_ns(&fsm), 2000);
    assert_int_equal(call_fsm_expired(&fsm, 2000), CAUSE_QUEUE_LIMIT);
    assert_int_equal(call_fsm_expired(&fsm, 3000), CAUSE_QUEUE_LIMIT); /* it was the earlier one */
    assert_true(call_fsm_move(&fsm, CALL_RESPONDING, 20, &give_back));
    assert_int_equal(call_fsm_next_ns(&fsm), 3000);
    assert_int_equal(call_fsm_expired(&fsm, 2999), CAUSE_NONE);
    assert_int_equal(call_fsm_timer(&fsm, 3000), CAUSE_BEGIN_LIMIT);
    assert_int_equal(call_fsm_expired(&fsm, 10000), CAUSE_DEADLINE);
    call_fsm_set_begin(&fsm, NS_NEVER);
    assert_int_equal(call_fsm_next_ns(&fsm), 10000);
}

static void the_limit_of_an_observed_calls_beginning_is_noted(void **state)
{
    struct call_fsm fsm;

    call_fsm_begin(&fsm, 0, 10000);
    call_fsm_observe(&fsm, 60000, 0);
    call_fsm_set_begin(&fsm, 3000);
    call_fsm_set_limit(&fsm, 5000, CAUSE_IDLE_LIMIT);
    assert_int_equal(call_fsm_timer(&fsm, 3001), CAUSE_NONE);
    assert_int_equal(fsm.spared_cause, CAUSE_BEGIN_LIMIT);
    assert_int_equal(fsm.spared_ns, 3000);
    assert_int_equal(call_fsm_next_ns(&fsm), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_states_hold_what_the_table_says),
        cmocka_unit_test(a_call_moves_where_the_table_allows_and_nowhere_else),
        cmocka_unit_test(a_refused_move_changes_nothing),
        cmocka_unit_test(each_move_gives_back_what_the_new_state_does_not_hold),
        cmocka_unit_test(a_final_state_holds_nothing_and_has_no_way_on),
        cmocka_unit_test(from_everywhere_on_the_way_a_call_can_get_stuck_fail_and_be_left),
        cmocka_unit_test(a_shutdown_refuses_what_never_held_a_permit_and_cuts_the_rest),
        cmocka_unit_test(every_state_can_be_reached_and_leads_to_done),
        cmocka_unit_test(a_call_begins_reading_with_nothing_sent),
        cmocka_unit_test(a_state_enters_its_phase_or_stays_in_the_one_before),
        cmocka_unit_test(a_whole_call_is_accounted_for_to_the_nanosecond),
        cmocka_unit_test(on_any_way_the_phases_sum_up_to_what_has_elapsed),
        cmocka_unit_test(the_earlier_of_deadline_and_limit_comes_next),
        cmocka_unit_test(a_limit_expires_at_its_instant_with_its_cause_and_the_deadline_before_it),
        cmocka_unit_test(nothing_that_happens_to_a_call_moves_its_deadline),
        cmocka_unit_test(a_limit_ends_with_the_state_that_it_was_set_in),
        cmocka_unit_test(the_times_name_the_phases_that_took_any_and_the_one_that_lasts),
        cmocka_unit_test(server_timing_names_what_lies_between_caller_and_response),
        cmocka_unit_test(server_timing_has_a_bound),
        cmocka_unit_test(an_observed_call_ends_at_the_ceiling),
        cmocka_unit_test(a_ceiling_below_the_deadline_is_none),
        cmocka_unit_test(the_phase_at_the_deadline_is_found_when_the_call_leaves_it),
        cmocka_unit_test(a_call_that_ends_in_time_is_not_spared),
        cmocka_unit_test(a_limit_of_an_observed_call_is_noted_and_taken_off),
        cmocka_unit_test(the_deadline_comes_before_a_limit_that_passes_later),
        cmocka_unit_test(the_time_of_a_request_head_is_kept_to),
        cmocka_unit_test(what_another_route_brings_does_not_undo_what_has_passed),
        cmocka_unit_test(the_times_say_what_would_have_cut_a_call),
        cmocka_unit_test(a_deadline_is_replaced_by_another_one),
        cmocka_unit_test(an_observed_calls_ceiling_is_at_least_its_new_deadline),
        cmocka_unit_test(the_limit_of_the_beginning_outlives_states_and_their_limits),
        cmocka_unit_test(the_limit_of_an_observed_calls_beginning_is_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
