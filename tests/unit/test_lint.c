/* What a sound configuration probably does not mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/lint.h"
#include "config/load.h"

#define UPSTREAM "upstreams:\n  p:\n    listen: 127.0.0.1:1\n    url: http://a\n"
#define DAY_S    86400

static char *read_file(void *arg, const char *path, size_t *len, const char **why)
{
    *len = strlen(path);
    return mem_dup(path, *len);
}

static const struct config_files files = {.read = read_file};
static const struct lint_bounds plenty = {1000000, UINT64_MAX, 0, 90 * NS_PER_S};

static struct snapshot *load(const char *bytes)
{
    static struct config_errors errors;
    struct snapshot *snapshot = NULL;

    if (config_load(span_of(bytes), &files, &snapshot, &errors) != ST_OK)
        fail_msg("%s", errors.list[0].text);
    return snapshot;
}

/* The warnings, one "LINE:COLUMN: text" a line. */
static const char *lines(const struct config_errors *warnings)
{
    static char all[4096];
    size_t len = 0;

    all[0] = '\0';
    for (uint32_t i = 0; i < warnings->count && len < sizeof(all) - 300; i++)
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%u:%u: %s", i ? "\n" : "",
                                warnings->list[i].line, warnings->list[i].column, warnings->list[i].text);
    return all;
}

static const char *advise(const char *bytes, const struct lint_bounds *bounds)
{
    static struct config_errors warnings;
    struct snapshot *snapshot = load(bytes);

    warnings.count = 0;
    assert_int_equal(lint_give(snapshot, bounds, &warnings), ST_OK);
    snapshot_free(snapshot);
    return lines(&warnings);
}

static void nothing_is_said_of_what_makes_sense(void **state)
{
    assert_string_equal(advise(UPSTREAM, &plenty), "");
    assert_string_equal(
        advise("defaults: {timeouts: {connect: 1s, first_byte: 2s, idle: none}, deadline: 2s}\n" UPSTREAM
               "    pool: {queue_timeout: 1999ms}\n",
               &plenty),
        "");
}

static void a_limit_longer_than_the_deadline_can_never_strike(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    deadline: 2s\n    timeouts: {connect: 3s, first_byte: 2500ms, idle: 1m}\n",
               &plenty),
        "6:25: upstreams.p.timeouts.connect: 3s is longer than the deadline, 2s (line 5), and can never "
        "strike; less than that, or none, is right\n"
        "6:41: upstreams.p.timeouts.first_byte: 2.5s is longer than the deadline, 2s (line 5), and can "
        "never strike; less than that, or none, is right\n"
        "6:55: upstreams.p.timeouts.idle: 1m is longer than the deadline, 2s (line 5), and can never "
        "strike; less than that, or none, is right");
    assert_string_equal(
        advise(UPSTREAM "    timeouts: {idle: 6s}\n", &plenty),
        "5:22: upstreams.p.timeouts.idle: 6s is longer than the deadline, 5s (the default), and can never "
        "strike; less than that, or none, is right");
}

static void limits_of_streams_are_within_their_own_deadline(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    streams: {first_event: 11m, idle: 10m}\n", &plenty),
        "5:28: upstreams.p.streams.first_event: 11m is longer than a stream's deadline, 10m (the default), and "
        "can never strike; less than that is right");
    assert_string_equal(advise(UPSTREAM "    streams: {deadline: 3s, first_event: 1s}\n", &plenty), "");
    assert_string_equal(
        advise(UPSTREAM "    streams: {}\n    timeouts: {begin: 30s, min_rate: {per: 30s}}\n", &plenty), "");
    assert_string_equal(
        advise(UPSTREAM "    timeouts: {begin: 30s, min_rate: {per: 31s}}\n", &plenty),
        "5:23: upstreams.p.timeouts.begin: 30s is longer than the deadline, 5s (the default), and can never "
        "strike; less than that, or none, is right\n"
        "5:38: upstreams.p.timeouts.min_rate: 31s is longer than the deadline, 5s (the default), and can never "
        "strike; less than that, or none, is right");
}

static void streams_want_a_pool_of_their_own(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    routes: [{path: /s, streams: {}}]\n", &plenty),
        "5:34: upstreams.p.routes[0].streams: streams hold permits of pool p for as long as 10m, and other calls "
        "wait for them: those of route default (the default) have it too; a pool of their own is right");
    assert_string_equal(advise(UPSTREAM "    routes: [{path: /s, streams: {}, pool: {size: 2}}]\n", &plenty),
                        "");
    assert_string_equal(advise(UPSTREAM "    streams: {}\n    routes: [{path: /s}]\n", &plenty), "");
}

static void a_limit_that_is_inherited_is_of_use_if_it_can_strike_anywhere(void **state)
{
    assert_string_equal(advise("defaults: {timeouts: {idle: 6s}}\n" UPSTREAM
                               "    routes: [{path: /slow, deadline: 7s}]\n",
                               &plenty),
                        "");
    assert_string_equal(
        advise("defaults: {timeouts: {idle: 8s}}\n" UPSTREAM "    routes: [{path: /slow, deadline: 7s}]\n",
               &plenty),
        "1:29: defaults.timeouts.idle: 8s is longer than the deadline, 7s (line 6), and can never "
        "strike; less than that, or none, is right");
}

static void a_pause_without_statuses_is_none(void **state)
{
    const char *said =
        "5:19: upstreams.p.pool.pause: nothing pauses the pool: it has no statuses; pause: {statuses: "
        "[429]}, or none, is right";

    assert_string_equal(advise(UPSTREAM "    pool: {pause: {}}\n", &plenty), said);
    assert_string_equal(advise(UPSTREAM "    pool: {pause: {max: 10s}}\n", &plenty), said);
    assert_string_equal(advise(UPSTREAM "    pool: {pause: {statuses: none}}\n", &plenty), said);
    assert_string_equal(advise(UPSTREAM "    pool: {pause: {statuses: 429}}\n", &plenty), "");
    assert_string_equal(advise(UPSTREAM "    pool: {pause: none}\n", &plenty), "");
}

static void a_least_that_is_all_of_the_deadline_lets_nobody_in(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    deadline: 2s\n    pool: {least: 2s}\n", &plenty),
        "6:19: upstreams.p.pool.least: 2s is all that the deadline leaves, 2s (line 5): no call that waits would ever be "
        "let in; what a call needs, or p95, is right");
    assert_string_equal(advise(UPSTREAM "    deadline: 2s\n    pool: {least: 1999ms}\n", &plenty), "");
    assert_string_equal(advise(UPSTREAM "    deadline: 2s\n    pool: {least: p95}\n", &plenty), "");
    assert_string_equal(advise(UPSTREAM "    deadline: 2s\n    pool: {least: 5s, queue: 0}\n", &plenty), "");
}

static void a_tunnel_lives_longer_than_it_may_take_to_open(void **state)
{
    assert_string_equal(advise(UPSTREAM "    upgrade: {lifetime: 5s, idle: 1s}\n", &plenty), "");
    assert_string_equal(
        advise(UPSTREAM "    deadline: 3s\n    upgrade: {lifetime: 2s, idle: 1s}\n", &plenty),
        "6:25: upstreams.p.upgrade.lifetime: 2s is shorter than the deadline, 3s (line 5): a tunnel may be over when it "
        "opens, for both count from the request's first byte; more than that is right");
}

static void a_queue_timeout_that_the_deadline_precedes_can_never_strike(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    pool: {queue_timeout: 5s}\n", &plenty),
        "5:27: upstreams.p.pool.queue_timeout: 5s can never strike: the deadline is 5s (the default); "
        "less than that, or none, is right");
    assert_string_equal(advise("pools: {x: {queue_timeout: 5s}}\n" UPSTREAM
                               "    pool: x\n    routes: [{path: /a, deadline: 6s}]\n",
                               &plenty),
                        "");
}

static void a_queue_timeout_without_a_queue_can_never_strike(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    pool: {queue: 0, queue_timeout: 100ms}\n", &plenty),
        "5:37: upstreams.p.pool.queue_timeout: 100ms can never strike: queue is 0, so that no call waits; "
        "a queue, or no queue_timeout, is right");
    assert_string_equal(advise(UPSTREAM "    pool: {queue: 1, queue_timeout: 100ms}\n", &plenty), "");
    assert_string_equal(advise("defaults: {pool: {queue_timeout: 100ms}}\n" UPSTREAM
                               "  q: {listen: 127.0.0.1:2, url: \"http://a\", pool: {queue: 0}}\n",
                               &plenty),
                        "");
}

static void a_deadline_longer_than_drain_is_cut_by_a_shutdown(void **state)
{
    assert_string_equal(
        advise(UPSTREAM "    deadline: 31s\n", &plenty),
        "5:15: upstreams.p.deadline: 31s is longer than drain, 30s (the default): a shutdown cuts such "
        "calls early; drain: 31s is right");
    assert_string_equal(advise("drain: 1s\n" UPSTREAM, &plenty),
                        "1:8: drain: 1s cuts calls that have a deadline of 5s; at least that is right");
}

static void a_stop_must_not_be_over_before_the_calls_are(void **state)
{
    struct lint_bounds hasty = plenty;

    hasty.stop_ns = 30 * NS_PER_S;
    assert_string_equal(advise("drain: 40s\n" UPSTREAM "    deadline: 30s\n", &hasty), "");
    assert_string_equal(
        advise("drain: 40s\n" UPSTREAM "    deadline: 35s\n", &hasty),
        "6:15: upstreams.p.deadline: 35s is longer than a stop may take, 30s: calls would be killed; "
        "TimeoutStopSec= (or what stands for it) beyond 35s, or a shorter drain, is right");
}

static void what_is_waited_for_before_a_drain_is_a_part_of_the_stop(void **state)
{
    struct lint_bounds hasty = plenty;

    hasty.stop_ns = 30 * NS_PER_S;
    assert_string_equal(advise("drain_delay: 10s\n" UPSTREAM "    deadline: 20s\n", &hasty), "");
    assert_string_equal(
        advise("drain_delay: 10500ms\n" UPSTREAM "    deadline: 20s\n", &hasty),
        "1:14: drain_delay: 10.5s, and 20s for calls in flight after it, are longer than a stop may take, 30s: "
        "calls would be killed; TimeoutStopSec= (or what stands for it) beyond 30.5s, or a shorter drain_delay, "
        "is right");
}

static void connections_beyond_the_descriptors(void **state)
{
    struct lint_bounds few = plenty;

    few.descriptors = 60 + 60 + 64 + 256;
    assert_string_equal(
        advise("limits: {connections: 60}\npools: {x: {size: 50}}\n" UPSTREAM "    pool: {size: 10}\n", &few),
        "");
    few.descriptors = 400;
    assert_string_equal(
        advise("limits: {connections: 60}\n" UPSTREAM, &few),
        "1:23: limits.connections: 60 callers, 50 permits and 64 idle connections may need 430 "
        "descriptors, and there are 400; LimitNOFILE=430, or fewer of them, is right");
    assert_string_equal(
        advise("limits: {connections: 49}\n" UPSTREAM, &plenty),
        "1:23: limits.connections: 49 callers can never use the pools' 50 permits; at least 150, for the "
        "queues too, is right");
}

static void buffers_beyond_the_memory(void **state)
{
    struct lint_bounds small = plenty;

    small.memory_bytes = 5 << 20;
    small.worst_memory_bytes = 5 << 20;
    assert_string_equal(advise(UPSTREAM, &small), "");
    small.worst_memory_bytes++;
    assert_string_equal(
        advise(UPSTREAM, &small),
        "1:1: limits.connections: buffers may need 6MiB at worst, and there are 5MiB; fewer connections "
        "and permits, or smaller heads, are right");
}

static void a_certificate_that_is_about_to_expire(void **state)
{
    static const struct place place = {
        .file = "", .line = 7, .column = 8, .path = "upstreams.p.tls.cert_file"};
    static struct config_errors warnings;
    static const struct {
        int64_t end_s;
        const char *expected;
    } cases[] = {
        {30 * DAY_S, ""},
        {30 * DAY_S - 1,
         "7:8: upstreams.p.tls.cert_file: \"/c\" expires in 29 days; a new certificate is needed soon"},
        {DAY_S + 1,
         "7:8: upstreams.p.tls.cert_file: \"/c\" expires in 1 day; a new certificate is needed soon"},
        {0, "7:8: upstreams.p.tls.cert_file: \"/c\" has expired 0 days ago; a new certificate is needed"},
        {-DAY_S, "7:8: upstreams.p.tls.cert_file: \"/c\" has expired 1 day ago; a new certificate is needed"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        warnings.count = 0;
        lint_certificate(&place, "/c", 1000000 + cases[i].end_s, 1000000, &warnings);
        assert_string_equal(lines(&warnings), cases[i].expected);
    }
}

static bool always(void *arg, size_t size)
{
    return true;
}

static void without_memory_there_is_no_advice(void **state)
{
    static struct config_errors warnings;
    struct snapshot *snapshot = load(UPSTREAM);

    mem_set_fault(always, NULL);
    assert_int_equal(lint_give(snapshot, &plenty, &warnings), ST_NOMEM);
    mem_set_fault(NULL, NULL);
    snapshot_free(snapshot);
}

static void an_observed_call_may_hold_a_stop_up_until_its_ceiling(void **state)
{
    assert_string_equal(advise("drain: 10m\n" UPSTREAM "    observe_ceiling: 2m\n", &plenty), "");
    assert_string_equal(
        advise("drain: 10m\n" UPSTREAM "    observe: true\n    observe_ceiling: 2m\n", &plenty),
        "6:14: upstreams.p.observe: 2m is longer than a stop may take, 90s: calls would be killed; "
        "TimeoutStopSec= (or what stands for it) beyond 2m, or a shorter drain, is right");
}

static void what_http2_does_not_mean_is_said(void **state)
{
    static const char pools[] = "    pool: {size: 50}\n    http2: ";
    static const struct {
        const char *http2, *more, *expected;
    } cases[] = {
        {"{use: always, streams: 50, probe_after: 30s}", "", ""},
        {"{use: never, streams: 10}", "",
         "7:34: upstreams.p.http2.streams: means nothing without HTTP/2: "
         "http2.use is never"},
        {"{use: always, streams: 100}", "",
         "7:35: upstreams.p.http2.streams: a connection never has 100 calls: there are 50 at once at most, by pool p "
         "(line 6); 50 is enough"},
        {"{use: always, streams: 100}", "    routes: [{path: /x, pool: {size: 200}}]\n", ""},
        {"{use: auto, streams: 2}", "    deadline: 70s\n",
         "7:33: upstreams.p.http2.streams: a connection that dies holds all of its calls, and one may take 70s (line "
         "8); 1, or an upstream of their own for long calls, is right"},
        {"{use: auto}", "    deadline: 70s\n", ""},
        {"{use: auto, probe_after: 31s}", "",
         "7:37: upstreams.p.http2.probe_after: 31s can never strike: a connection is kept for 30s without a call, by "
         "keepalive.idle_timeout; less than that is right"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char bytes[600];

        snprintf(bytes, sizeof(bytes), "drain: 2m\n" UPSTREAM "%s%s\n%s", pools, cases[i].http2,
                 cases[i].more);
        assert_string_equal(advise(bytes, &plenty), cases[i].expected);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_http2_does_not_mean_is_said),
        cmocka_unit_test(nothing_is_said_of_what_makes_sense),
        cmocka_unit_test(a_limit_longer_than_the_deadline_can_never_strike),
        cmocka_unit_test(limits_of_streams_are_within_their_own_deadline),
        cmocka_unit_test(streams_want_a_pool_of_their_own),
        cmocka_unit_test(a_limit_that_is_inherited_is_of_use_if_it_can_strike_anywhere),
        cmocka_unit_test(a_pause_without_statuses_is_none),
        cmocka_unit_test(a_least_that_is_all_of_the_deadline_lets_nobody_in),
        cmocka_unit_test(a_tunnel_lives_longer_than_it_may_take_to_open),
        cmocka_unit_test(a_queue_timeout_that_the_deadline_precedes_can_never_strike),
        cmocka_unit_test(a_queue_timeout_without_a_queue_can_never_strike),
        cmocka_unit_test(a_deadline_longer_than_drain_is_cut_by_a_shutdown),
        cmocka_unit_test(a_stop_must_not_be_over_before_the_calls_are),
        cmocka_unit_test(what_is_waited_for_before_a_drain_is_a_part_of_the_stop),
        cmocka_unit_test(connections_beyond_the_descriptors),
        cmocka_unit_test(buffers_beyond_the_memory),
        cmocka_unit_test(a_certificate_that_is_about_to_expire),
        cmocka_unit_test(without_memory_there_is_no_advice),
        cmocka_unit_test(an_observed_call_may_hold_a_stop_up_until_its_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
