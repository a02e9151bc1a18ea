/* What `curfew top` shows, and what its keys do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "view/top_line.h"
#include "view/top_view.h"

#define S INT64_C(1000000000)

/* Three upstreams, of which one has 500 calls that wait; a pool that is shared. */
static const char page[] =
    "curfew_build_info{version=\"1.2.3\"} 1\nprocess_start_time_seconds 1000\n"
    "curfew_calls_started_total{upstream=\"alpha\",route=\"default\"} 100\n"
    "curfew_calls_started_total{upstream=\"beta\",route=\"default\"} 900\n"
    "curfew_calls_started_total{upstream=\"stuck-api\",route=\"default\"} 600\n"
    "curfew_calls_stuck_total{upstream=\"stuck-api\",route=\"default\",phase=\"wait\"} 100\n"
    "curfew_calls_in_flight{upstream=\"alpha\",phase=\"wait\"} 1\n"
    "curfew_breaker_state{upstream=\"beta\",route=\"default\",state=\"closed\"} 0\n"
    "curfew_breaker_state{upstream=\"beta\",route=\"default\",state=\"open\"} 1\n"
    "curfew_breaker_state{upstream=\"beta\",route=\"default\",state=\"half_open\"} 0\n"
    "curfew_breaker_state{upstream=\"stuck-api\",route=\"default\",state=\"closed\"} 1\n"
    "curfew_breaker_state{upstream=\"alpha\",route=\"/v1\",state=\"half_open\"} 1\n"
    "curfew_upstream_observed{upstream=\"alpha\"} 1\ncurfew_upstream_observed{upstream=\"beta\"} 0\n"
    "curfew_calls_spared_total{upstream=\"alpha\",route=\"default\",phase=\"tls\"} 7\n"
    "curfew_calls_in_flight{upstream=\"stuck-api\",phase=\"wait\"} 50\n"
    "curfew_calls_in_flight{upstream=\"stuck-api\",phase=\"queue\"} 450\n"
    "curfew_pool_size{pool=\"stuck-api\"} 50\ncurfew_pool_held{pool=\"stuck-api\"} 50\n"
    "curfew_pool_waiting{pool=\"stuck-api\"} 450\n"
    "curfew_pool_size{pool=\"shared\"} 10\ncurfew_pool_held{pool=\"shared\"} 3\n";

static const char calls_json[] =
    "{\"calls\": [{\"id\": \"a1\", \"upstream\": \"stuck-api\", \"route\": \"default\", \"method\": \"GET\","
    " \"phase\": \"wait\", \"age_ms\": 9000, \"left_ms\": 500, \"phase_ms\": 8000, \"sent\": \"complete\"},"
    " {\"id\": \"a2\", \"upstream\": \"stuck-api\", \"route\": \"default\", \"method\": \"GET\", \"phase\": \"queue\","
    " \"age_ms\": 8000, \"left_ms\": 9000, \"phase_ms\": 8000, \"sent\": \"none\"}], \"matching\": 501, \"in_flight\": 501}";

struct fixture {
    struct metrics_page board;
    struct call_list calls;
    struct top_state state;
};

static void fill(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_true(metrics_page_read(&f->board, span_of(page)));
    assert_true(call_list_read(&f->calls, span_of(calls_json)));
    f->state = (struct top_state){.where = "127.0.0.1:9600",
                                  .board = &f->board,
                                  .calls = &f->calls,
                                  .unix_time = 1100,
                                  .choice = {.phase = TOP_NO_PHASE},
                                  .has_keys = true};
}

/* With another board. */
static void fill_board(struct fixture *f, const char *board)
{
    fill(f);
    metrics_page_free(&f->board);
    assert_true(metrics_page_read(&f->board, span_of(board)));
}

static void empty(struct fixture *f)
{
    metrics_page_free(&f->board);
    call_list_free(&f->calls);
}

static char text[64 * 1024];

/* The whole screen, row by row. */
static const char *draw(const struct top_state *state, int width, int height)
{
    struct screen screen;
    char row[512];
    size_t len = 0;

    assert_int_equal(screen_init(&screen, width, height), ST_OK);
    assert_true(top_view_draw(state, &screen));
    for (int y = 0; y < height; y++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s\n", screen_row(&screen, y, row), row);
    screen_fini(&screen);
    return text;
}

static void expect(const char *drawn, const char *piece)
{
    if (strstr(drawn, piece) == NULL)
        fail_msg("\"%s\" is not in\n%s", piece, drawn);
}

static size_t place(const char *drawn, const char *piece)
{
    expect(drawn, piece);
    return (size_t)(strstr(drawn, piece) - drawn);
}

static void what_is_stuck_comes_first_with_its_phase(void **state)
{
    static const int sizes[][2] = {{80, 24}, {120, 40}};
    struct fixture f;

    fill(&f);
    for (int i = 0; i < 2; i++) {
        const char *drawn = draw(&f.state, sizes[i][0], sizes[i][1]);

        assert_true(place(drawn, "\nstuck-api ") < place(drawn, "\nbeta "));
        assert_true(place(drawn, "\nstuck-api ") < place(drawn, "\nalpha "));
        expect(drawn, "] 50/50 >>>>>>>> 450 waiting now queue 450 wait 50");
        expect(drawn, "curfew 1.2.3: 501 in flight, up 1m40s, at 127.0.0.1:9600");
        expect(drawn, "oldest first; upstream: all, phase: all: 501 of 501");
        expect(drawn, "\n  500ms    9.0s wait       8.0s stuck-api GET     default a1");
        expect(drawn, "\n  breaker half open now wait 1 observed spared tls 7\n");
        expect(drawn, "\n  breaker open");
        expect(drawn, "] 3/10\n");
        expect(drawn, "q quit");
    }
    expect(draw(&f.state, 120, 40), "now queue 450 wait 50 stuck wait 100");
    empty(&f);
}

static void a_pool_shows_what_is_given_out_and_its_ghosts(void **state)
{
    static const char small[] = "curfew_build_info{version=\"1\"} 1\n"
                                "curfew_pool_size{pool=\"a\"} 50\ncurfew_pool_limit{pool=\"a\"} 14\n"
                                "curfew_pool_held{pool=\"a\"} 14\ncurfew_pool_ghosts{pool=\"a\"} 3\n"
                                "curfew_pool_waiting{pool=\"a\"} 2\n"
                                "curfew_pool_size{pool=\"b\"} 50\ncurfew_pool_limit{pool=\"b\"} 50\n"
                                "curfew_pool_held{pool=\"b\"} 1\ncurfew_pool_ghosts{pool=\"b\"} 1\n";
    struct fixture f;
    const char *drawn;

    fill_board(&f, small);
    drawn = draw(&f.state, 120, 24);
    expect(drawn, "] 14/14 of 50 3 ghosts ");
    expect(drawn, " 2 waiting");
    expect(drawn, "] 1/50 1 ghost\n");
    empty(&f);
}

/* 80 columns have room for the words alone. */
static void a_pool_of_a_fleet_says_what_is_held_here_and_over_all_hosts(void **state)
{
    static const char small[] =
        "curfew_build_info{version=\"1\"} 1\ncurfew_fleet_connected 1\n"
        "curfew_pool_size{pool=\"a\"} 9\ncurfew_pool_limit{pool=\"a\"} 9\ncurfew_pool_held{pool=\"a\"} 7\n"
        "curfew_fleet_mode{pool=\"a\",mode=\"calm\"} 0\ncurfew_fleet_mode{pool=\"a\",mode=\"tight\"} 1\n"
        "curfew_fleet_mode{pool=\"a\",mode=\"learning\"} 0\ncurfew_fleet_mode{pool=\"a\",mode=\"fallback\"} 0\n"
        "curfew_fleet_size{pool=\"a\"} 50\ncurfew_fleet_total_granted{pool=\"a\"} 48\n"
        "curfew_fleet_hosts{pool=\"a\"} 12\ncurfew_fleet_waiting_hosts{pool=\"a\"} 3\n";
    static const char bad[] =
        "curfew_build_info{version=\"1\"} 1\ncurfew_fleet_connected 0\n"
        "curfew_pool_size{pool=\"a\"} 2\ncurfew_pool_held{pool=\"a\"} 2\ncurfew_pool_waiting{pool=\"a\"} 8\n"
        "curfew_fleet_mode{pool=\"a\",mode=\"fallback\"} 1\n"
        "curfew_fleet_size{pool=\"a\"} 50\ncurfew_fleet_hosts{pool=\"a\"} 1\ncurfew_fleet_waiting_hosts{pool=\"a\"} 1\n"
        "curfew_pool_size{pool=\"b\"} 0\ncurfew_fleet_size{pool=\"b\"} 5\ncurfew_fleet_mode{pool=\"b\",mode=\"learning\"} 1\n";
    struct fixture f;
    const char *drawn;

    fill_board(&f, small);
    expect(draw(&f.state, 80, 24), " held 7 of 9 here, 48 of 50 in the fleet, 12 hosts, 3 wait\n");
    drawn = draw(&f.state, 120, 24);
    expect(drawn, ".....] held 7 of 9 here, 48 of 50 in the fleet, 12 hosts, 3 wait\n");
    assert_null(strstr(drawn, "AWAY"));
    empty(&f);
    fill_board(&f, bad);
    drawn = draw(&f.state, 160, 24);
    expect(drawn, "fleet's store AWAY, ");
    expect(
        drawn,
        "fleet away, fallback [########################] held 2 of 2 here, 0 of 50 in the fleet, 1 host, 1 waits >");
    expect(
        drawn,
        "fleet learns [........................] held 0 of 0 here, 0 of 5 in the fleet, 0 hosts, 0 wait\n");
    empty(&f);
}

/* What is held of what a host has says nothing by itself: it has about what it needs. */
static void a_pool_of_a_fleet_is_full_if_somebody_waits_here(void **state)
{
    struct metrics_page_pool pool = {.size = 3, .limit = 3, .held = 3};

    assert_true(top_line_is_full(&pool));
    pool.fleet_size = 50;
    assert_false(top_line_is_full(&pool));
    pool.waiting = 1;
    assert_true(top_line_is_full(&pool));
    pool.waiting = 0;
    pool.fleet_size = 3;
    assert_true(top_line_is_full(&pool));
}

/* What stands between callers and the API, by its name; and what retries did. */
static void a_line_says_why_calls_were_rejected_and_what_retries_did(void **state)
{
    static const char small[] =
        "curfew_build_info{version=\"1\"} 1\nprocess_start_time_seconds 1000\n"
        "curfew_calls_rejected_total{upstream=\"a\",route=\"default\",reason=\"too_late\"} 3\n"
        "curfew_calls_rejected_total{upstream=\"a\",route=\"/v1\",reason=\"too_late\"} 4\n"
        "curfew_calls_rejected_total{upstream=\"a\",route=\"default\",reason=\"rate\"} 5\n"
        "curfew_calls_rejected_total{upstream=\"a\",route=\"default\",reason=\"paused\"} 0\n"
        "curfew_tries_started_total{upstream=\"a\",route=\"default\",kind=\"first\"} 1000\n"
        "curfew_tries_started_total{upstream=\"a\",route=\"default\",kind=\"retry\"} 150\n"
        "curfew_tries_started_total{upstream=\"a\",route=\"default\",kind=\"fallback\"} 50\n"
        "curfew_calls_saved_total{upstream=\"a\",route=\"default\"} 180\n"
        "curfew_retries_stopped_total{upstream=\"a\",reason=\"budget\"} 7\n"
        "curfew_retries_stopped_total{upstream=\"a\",reason=\"attempts\"} 9\n"
        "curfew_dns_answers_total{upstream=\"a\",result=\"fresh\"} 90\n"
        "curfew_dns_answers_total{upstream=\"a\",result=\"stale\"} 2\n"
        "curfew_http2_calls_total{upstream=\"a\",side=\"downstream\"} 300\n"
        "curfew_http2_calls_total{upstream=\"a\",side=\"upstream\"} 1200\n"
        "curfew_pool_size{pool=\"a\"} 50\ncurfew_pool_held{pool=\"a\"} 0\n"
        "curfew_rate_limit{pool=\"a\"} 100\ncurfew_rate_started_total{pool=\"a\"} 900\n"
        "curfew_pause_seconds{pool=\"a\"} 12.5\n"
        "curfew_pool_size{pool=\"b\"} 5\ncurfew_rate_limit{pool=\"b\"} 2\n";
    struct fixture f;
    const char *drawn;

    fill_board(&f, small);
    drawn = draw(&f.state, 200, 24);
    expect(
        drawn,
        "\n  paused 12.5s [........................] 0/50 rate 9.0/s of 100/s "
        "rejected too_late 7 rate 5 retry budget stopped 7 retries 2.0/s saved 180 dns stale 2 h2 callers 3.0/s h2 API 12/s\n");
    expect(drawn, "] 0/5 rate 0/s of 2.0/s\n");
    expect(draw(&f.state, 80, 24),
           "\n  paused 12.5s [............] 0/50 rate 9.0/s of 100/s rejected too_late 7 rate\n");
    empty(&f);
}

/* Where nothing was cut yet, a pool that is full is worse than many calls. */
static void a_full_pool_comes_before_many_calls(void **state)
{
    static const char small[] = "curfew_build_info{version=\"1\"} 1\n"
                                "curfew_calls_in_flight{upstream=\"busy\",phase=\"wait\"} 40\n"
                                "curfew_pool_size{pool=\"busy\"} 50\ncurfew_pool_held{pool=\"busy\"} 40\n"
                                "curfew_calls_in_flight{upstream=\"full\",phase=\"wait\"} 2\n"
                                "curfew_pool_size{pool=\"full\"} 2\ncurfew_pool_held{pool=\"full\"} 2\n"
                                "curfew_calls_in_flight{upstream=\"none\",phase=\"wait\"} 0\n"
                                "curfew_pool_size{pool=\"none\"} 0\ncurfew_pool_held{pool=\"none\"} 0\n";
    struct fixture f;
    const char *drawn;

    fill_board(&f, small);
    drawn = draw(&f.state, 80, 24);
    assert_true(place(drawn, "\nfull ") < place(drawn, "\nbusy "));
    assert_true(place(drawn, "\nbusy ") < place(drawn, "\nnone "));
    empty(&f);
}

/* A name is whole where there is room; where there is none, two that begin alike are still told apart. */
static void upstreams_whose_names_begin_alike_are_told_apart(void **state)
{
    static const char alike[] =
        "curfew_build_info{version=\"1\"} 1\n"
        "curfew_calls_in_flight{upstream=\"payments-of-the-shop-east\",phase=\"wait\"} 1\n"
        "curfew_calls_in_flight{upstream=\"payments-of-the-shop-west\",phase=\"wait\"} 2\n"
        "curfew_pool_size{pool=\"reports-of-the-shop-east\"} 10\n";
    struct fixture f;
    const char *drawn;

    fill_board(&f, alike);
    drawn = draw(&f.state, 80, 24);
    expect(drawn, "UPSTREAM      CALLS/S OK/S ");
    expect(drawn, "\npaymen~p-east       0 ");
    expect(drawn, "\npaymen~p-west       0 ");
    expect(drawn, "\npool report~p-east [............] 0/10");
    drawn = draw(&f.state, 120, 24);
    expect(drawn, "UPSTREAM                  CALLS/S ");
    expect(drawn, "\npayments-of-the-shop-east       0 ");
    expect(drawn, "\npool reports-of-the-shop-east  [");
    empty(&f);
}

/* Rates of 100 s: the widest figures that there can be fit into 80 columns. */
static void an_api_that_answers_with_errors_is_seen(void **state)
{
    static const char errors[] =
        "curfew_build_info{version=\"1\"} 1\nprocess_start_time_seconds 1000\n"
        "curfew_calls_started_total{upstream=\"fine\",route=\"default\"} 9999\n"
        "curfew_calls_completed_total{upstream=\"fine\",route=\"default\",class=\"2xx\"} 9999\n"
        "curfew_calls_in_flight{upstream=\"fine\",phase=\"wait\"} 40\n"
        "curfew_calls_started_total{upstream=\"broken\",route=\"default\"} 99900000\n"
        "curfew_calls_completed_total{upstream=\"broken\",route=\"default\",class=\"5xx\"} 99900000\n"
        "curfew_calls_completed_total{upstream=\"broken\",route=\"default\",class=\"4xx\"} 99900000\n"
        "curfew_responses_total{upstream=\"broken\",code=\"503\"} 99900000\n"
        "curfew_responses_total{upstream=\"broken\",code=\"429\"} 99900000\n"
        "curfew_calls_stuck_total{upstream=\"slow\",route=\"default\",phase=\"wait\"} 1\n";
    struct fixture f;
    const char *drawn;

    fill_board(&f, errors);
    drawn = draw(&f.state, 80, 24);
    expect(drawn, "\nUPSTREAM     CALLS/S OK/S 5XX/S 429/S STUCK/S FAIL/S REJ/S    P50    P99   LATE\n");
    expect(drawn, "\nbroken          999k    0  999k  999k       0      0     0      -      -      -");
    expect(drawn, "\nfine             100  100     0     0       0 ");
    assert_true(place(drawn, "\nslow ") < place(drawn, "\nbroken "));
    assert_true(place(drawn, "\nbroken ") < place(drawn, "\nfine "));
    f.state.choice.order = TOP_BY_ERRORS;
    drawn = draw(&f.state, 80, 24);
    assert_true(place(drawn, "\nbroken ") < place(drawn, "\nfine "));
    assert_true(place(drawn, "\nfine ") < place(drawn, "\nslow "));
    empty(&f);
}

static void sorting_is_by_trouble_then_name_then_rate_then_errors(void **state)
{
    struct fixture f;
    const char *drawn;

    fill(&f);
    assert_int_equal(top_view_key(&f.state, 's'), TOP_REDRAW);
    drawn = draw(&f.state, 80, 24);
    assert_true(place(drawn, "\nalpha ") < place(drawn, "\nbeta "));
    assert_true(place(drawn, "\nbeta ") < place(drawn, "\nstuck-api "));
    assert_int_equal(top_view_key(&f.state, 's'), TOP_REDRAW);
    drawn = draw(&f.state, 80, 24);
    assert_true(place(drawn, "\nbeta ") < place(drawn, "\nstuck-api "));
    assert_true(place(drawn, "\nstuck-api ") < place(drawn, "\nalpha "));
    assert_int_equal(top_view_key(&f.state, 's'), TOP_REDRAW);
    assert_int_equal(f.state.choice.order, TOP_BY_ERRORS);
    assert_int_equal(top_view_key(&f.state, 's'), TOP_REDRAW);
    assert_int_equal(f.state.choice.order, TOP_BY_TROUBLE);
    empty(&f);
}

static void rates_are_those_since_the_earlier_page(void **state)
{
    struct fixture f;
    struct metrics_page earlier;

    fill(&f);
    assert_true(metrics_page_read(&earlier, span_of(page)));
    earlier.upstreams[0].started = 80;
    f.board.at_ns = 12 * S;
    earlier.at_ns = 2 * S;
    f.state.earlier = &earlier;
    expect(draw(&f.state, 80, 24), "\nalpha            2.0    0");
    metrics_page_free(&earlier);
    empty(&f);
}

static void a_lost_connection_is_said(void **state)
{
    struct fixture f;

    fill(&f);
    f.state.lost = "127.0.0.1:9600: Connection refused";
    f.state.lost_for_ms = 3200;
    expect(draw(&f.state, 80, 24),
           "CONNECTION LOST 3.2s ago, trying again: 127.0.0.1:9600: Connection refused");
    f.state.board = NULL;
    expect(draw(&f.state, 80, 24), "curfew at 127.0.0.1:9600\nCONNECTION LOST");
    empty(&f);
}

static void any_size_is_drawn(void **state)
{
    struct fixture f;

    fill(&f);
    for (int width = 0; width < 130; width += 7)
        for (int height = 0; height < 45; height++)
            (void)draw(&f.state, width, height);
    empty(&f);
}

static void many_upstreams_leave_room_for_calls(void **state)
{
    static char many[16384] = "curfew_build_info{version=\"1\"} 1\n";
    struct fixture f;
    const char *drawn;

    for (int i = 0; i < 100; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many),
                 "curfew_calls_in_flight{upstream=\"u%02d\",phase=\"tls\"} %d\n", i, i);
    fill(&f);
    metrics_page_free(&f.board);
    assert_true(metrics_page_read(&f.board, span_of(many)));
    drawn = draw(&f.state, 80, 24);
    expect(drawn, "\nu99 ");
    expect(drawn, "\nand 94 more upstreams\n");
    expect(drawn, " a1 ");
    assert_int_equal(top_view_room(&f.state, 24), 4);
    assert_int_equal(top_view_room(&f.state, 3), 1);
    empty(&f);
}

static void upstreams_and_phases_are_gone_through(void **state)
{
    static const char *const names[] = {"alpha", "beta", "stuck-api", "", "alpha"};
    struct fixture f;

    fill(&f);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(top_view_key(&f.state, 'u'), TOP_ASK_ANEW);
        assert_string_equal(f.state.choice.upstream, names[i]);
    }
    for (enum phase phase = 0; phase <= PHASE_COUNT; phase++) {
        assert_int_equal(top_view_key(&f.state, 'p'), TOP_ASK_ANEW);
        assert_int_equal(f.state.choice.phase, phase);
    }
    assert_int_equal(top_view_key(&f.state, 'l'), TOP_ASK_ANEW);
    expect(draw(&f.state, 80, 24), "least left first; upstream: alpha, phase: all");
    empty(&f);
}

static void a_call_is_cut_only_after_a_yes(void **state)
{
    struct fixture f;

    fill(&f);
    assert_int_equal(top_view_key(&f.state, TOP_KEY_DOWN), TOP_REDRAW);
    assert_string_equal(f.state.choice.selected, "a1");
    assert_int_equal(top_view_key(&f.state, TOP_KEY_DOWN), TOP_REDRAW);
    assert_int_equal(top_view_key(&f.state, TOP_KEY_DOWN), TOP_REDRAW);
    assert_string_equal(f.state.choice.selected, "a2");
    assert_int_equal(top_view_key(&f.state, 'x'), TOP_REDRAW);
    expect(draw(&f.state, 80, 24), "Cut call a2? y cuts it");
    assert_int_equal(top_view_key(&f.state, 'q'), TOP_REDRAW);
    assert_int_equal(top_view_key(&f.state, 'x'), TOP_REDRAW);
    assert_int_equal(top_view_key(&f.state, 'y'), TOP_CUT);
    assert_int_equal(top_view_key(&f.state, 'y'), TOP_NOTHING);
    assert_int_equal(top_view_key(&f.state, TOP_KEY_ESCAPE), TOP_REDRAW);
    assert_string_equal(f.state.choice.selected, "");
    assert_int_equal(top_view_key(&f.state, 'q'), TOP_QUIT);
    empty(&f);
}

static void without_calls_there_is_nothing_to_cut(void **state)
{
    static const struct call_list none;
    struct fixture f;

    fill(&f);
    f.state.calls = &none;
    assert_int_equal(top_view_key(&f.state, TOP_KEY_UP), TOP_REDRAW);
    assert_int_equal(top_view_key(&f.state, 'x'), TOP_REDRAW);
    assert_false(f.state.choice.confirms);
    empty(&f);
}

static bool fail_always(void *arg, size_t size)
{
    return true;
}

static void without_memory_nothing_is_drawn(void **state)
{
    struct fixture f;
    struct screen screen, another;

    fill(&f);
    assert_int_equal(screen_init(&screen, 80, 24), ST_OK);
    mem_set_fault(fail_always, NULL);
    assert_false(top_view_draw(&f.state, &screen));
    assert_int_equal(screen_init(&another, 80, 24), ST_NOMEM);
    mem_set_fault(NULL, NULL);
    screen_fini(&screen);
    empty(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stuck_comes_first_with_its_phase),
        cmocka_unit_test(a_full_pool_comes_before_many_calls),
        cmocka_unit_test(a_pool_shows_what_is_given_out_and_its_ghosts),
        cmocka_unit_test(a_pool_of_a_fleet_says_what_is_held_here_and_over_all_hosts),
        cmocka_unit_test(a_pool_of_a_fleet_is_full_if_somebody_waits_here),
        cmocka_unit_test(a_line_says_why_calls_were_rejected_and_what_retries_did),
        cmocka_unit_test(upstreams_whose_names_begin_alike_are_told_apart),
        cmocka_unit_test(an_api_that_answers_with_errors_is_seen),
        cmocka_unit_test(sorting_is_by_trouble_then_name_then_rate_then_errors),
        cmocka_unit_test(rates_are_those_since_the_earlier_page),
        cmocka_unit_test(a_lost_connection_is_said),
        cmocka_unit_test(any_size_is_drawn),
        cmocka_unit_test(many_upstreams_leave_room_for_calls),
        cmocka_unit_test(upstreams_and_phases_are_gone_through),
        cmocka_unit_test(a_call_is_cut_only_after_a_yes),
        cmocka_unit_test(without_calls_there_is_nothing_to_cut),
        cmocka_unit_test(without_memory_nothing_is_drawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
