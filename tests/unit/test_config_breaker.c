#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "config/load.h"
#include "core/verdict.h"

#define S    INT64_C(1000000000)
#define GOOD "upstreams:\n  p:\n    listen: 127.0.0.1:1\n    url: http://a\n"

static char *read_nothing(void *arg, const char *path, size_t *len, const char **why)
{
    (void)arg, (void)path, (void)len;
    *why = "there are no files";
    return NULL;
}

static const struct config_files files = {.read = read_nothing};
static struct config_errors errors;

/* NULL: it is wrong. */
static struct snapshot *load(const char *text)
{
    struct snapshot *snapshot = NULL;

    memset(&errors, 0, sizeof(errors));
    if (config_load(span_of(text), &files, &snapshot, &errors) != ST_OK)
        return NULL;
    return snapshot;
}

static struct snapshot *must_load(const char *text)
{
    struct snapshot *snapshot = load(text);

    if (snapshot == NULL)
        fail_msg("%s", errors.list[0].text);
    return snapshot;
}

static void must_fail(const char *more, const char *why)
{
    char text[1000];

    snprintf(text, sizeof(text), GOOD "%s", more);
    assert_null(load(text));
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.list[0].text, why);
}

static void left_out_there_is_none(void **state)
{
    struct snapshot *s = must_load(GOOD);

    (void)state;
    assert_null(s->upstreams[0].default_route.breaker);
    snapshot_free(s);
    s = must_load(GOOD "    breaker: none\n");
    assert_null(s->upstreams[0].default_route.breaker);
    snapshot_free(s);
}

static void an_empty_map_is_one_with_the_defaults(void **state)
{
    struct snapshot *s = must_load(GOOD "    breaker: {}\n");
    const struct breaker_terms *terms = s->upstreams[0].default_route.breaker;

    (void)state;
    assert_non_null(terms);
    assert_int_equal(terms->failures, 5);
    assert_int_equal(terms->ratio_percent, 50);
    assert_int_equal(terms->volume, 20);
    assert_int_equal(terms->window_ns, 10 * S);
    assert_int_equal(terms->open_ns, 1 * S);
    assert_int_equal(terms->open_max_ns, 2 * S);
    assert_int_equal(terms->probes, 1);
    assert_int_equal(terms->verdict_ns, 5 * S);
    assert_memory_equal(&terms->statuses, &verdict_bad_statuses, sizeof(terms->statuses));
    snapshot_free(s);
}

static void every_key_has_its_place(void **state)
{
    struct snapshot *s =
        must_load(GOOD "    breaker: {failures: 3, ratio: 25%, volume: 9, window: 1m, open: 2s, "
                       "open_max: 8s, probes: 16, verdict: 1ms, statuses: [500, 429, 599]}\n");
    const struct breaker_terms *terms = s->upstreams[0].default_route.breaker;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(terms->failures, 3);
    assert_int_equal(terms->ratio_percent, 25);
    assert_int_equal(terms->volume, 9);
    assert_int_equal(terms->window_ns, 60 * S);
    assert_int_equal(terms->open_ns, 2 * S);
    assert_int_equal(terms->open_max_ns, 8 * S);
    assert_int_equal(terms->probes, 16);
    assert_int_equal(terms->verdict_ns, S / 1000);
    for (uint32_t code = 0; code < 700; code++)
        count += status_set_has(&terms->statuses, code);
    assert_int_equal(count, 3);
    assert_true(status_set_has(&terms->statuses, 500) && status_set_has(&terms->statuses, 429));
    snapshot_free(s);
}

static void one_status_needs_no_list(void **state)
{
    struct snapshot *s = must_load(GOOD "    breaker: {statuses: 500}\n");

    (void)state;
    assert_true(status_set_has(&s->upstreams[0].default_route.breaker->statuses, 500));
    assert_false(status_set_has(&s->upstreams[0].default_route.breaker->statuses, 503));
    snapshot_free(s);
}

static void the_longest_open_time_follows_a_long_one(void **state)
{
    struct snapshot *s = must_load(GOOD "    breaker: {open: 30s}\n");

    (void)state;
    assert_int_equal(s->upstreams[0].default_route.breaker->open_max_ns, 30 * S);
    snapshot_free(s);
    must_fail("    breaker: {open: 3s, open_max: 1s}\n",
              "upstreams.p.breaker.open_max: is shorter than open, 3s");
}

static void routes_inherit_have_their_own_or_none(void **state)
{
    struct snapshot *s = must_load(GOOD "    breaker: {failures: 7, open: 500ms}\n"
                                        "    routes:\n"
                                        "      - {path: /same}\n"
                                        "      - {path: /own, breaker: {failures: 2}}\n"
                                        "      - {path: /none, breaker: none}\n");
    const struct upstream_config *p = &s->upstreams[0];

    (void)state;
    assert_ptr_equal(p->routes[0].breaker, p->default_route.breaker);
    assert_false(p->routes[0].has_own_breaker);
    assert_int_equal(p->routes[1].breaker->failures, 2);
    assert_int_equal(p->routes[1].breaker->open_ns, S / 2);
    assert_true(p->routes[1].has_own_breaker);
    assert_null(p->routes[2].breaker);
    snapshot_free(s);
}

static void a_route_alone_may_have_one(void **state)
{
    struct snapshot *s = must_load(GOOD "    routes:\n      - {path: /own, breaker: {}}\n");

    (void)state;
    assert_null(s->upstreams[0].default_route.breaker);
    assert_int_equal(s->upstreams[0].routes[0].breaker->failures, 5);
    snapshot_free(s);
}

static void defaults_are_for_all_that_do_not_say_none(void **state)
{
    struct snapshot *s = must_load("defaults: {breaker: {failures: 3}}\n" GOOD
                                   "  q: {listen: 127.0.0.1:2, url: http://b, breaker: none}\n"
                                   "  r: {listen: 127.0.0.1:3, url: http://c, breaker: {volume: 4}}\n");

    (void)state;
    assert_int_equal(s->upstreams[0].default_route.breaker->failures, 3);
    assert_null(s->upstreams[1].default_route.breaker);
    assert_int_equal(s->upstreams[2].default_route.breaker->failures, 3);
    assert_int_equal(s->upstreams[2].default_route.breaker->volume, 4);
    snapshot_free(s);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    must_fail("    breaker: on\n",
              "upstreams.p.breaker: \"on\" is neither none nor a map; {} is one with the defaults");
    must_fail(
        "    breaker: {statuses: [200]}\n",
        "upstreams.p.breaker.statuses[0]: \"200\" is not a status of an error: a number from 400 to 599");
    must_fail(
        "    breaker: {statuses: [600]}\n",
        "upstreams.p.breaker.statuses[0]: \"600\" is not a status of an error: a number from 400 to 599");
    must_fail(
        "    breaker: {statuses: [5xx]}\n",
        "upstreams.p.breaker.statuses[0]: \"5xx\" is not a status of an error: a number from 400 to 599");
    must_fail("    breaker: {statuses: [503, 503]}\n",
              "upstreams.p.breaker.statuses[1]: \"503\" is there twice");
    must_fail("    breaker: {statuses: []}\n", "upstreams.p.breaker.statuses: the list is empty");
    must_fail("    breaker: {failures: 0}\n",
              "upstreams.p.breaker.failures: \"0\" is out of bounds: 1 to 1000000");
    must_fail("    breaker: {probes: 17}\n", "upstreams.p.breaker.probes: \"17\" is out of bounds: 1 to 16");
    must_fail("    breaker: {ratio: 0%}\n", "upstreams.p.breaker.ratio: \"0%\" is out of bounds: 1% to 100%");
    must_fail("    breaker: {open: 1ms}\n", "upstreams.p.breaker.open: \"1ms\" is out of bounds: 10ms to 1h");
    must_fail("    breaker: {failure: 3}\n",
              "upstreams.p.breaker.failure: unknown key; did you mean \"failures\"?");
    must_fail("    breaker:\n", "upstreams.p.breaker: has no value");
}

static void addresses_are_left_out_only_if_that_is_written(void **state)
{
    struct snapshot *s = must_load(GOOD);

    (void)state;
    assert_int_equal(s->upstreams[0].origin.eject.failures, 0);
    snapshot_free(s);
    s = must_load(GOOD "    addresses: {eject: none}\n");
    assert_int_equal(s->upstreams[0].origin.eject.failures, 0);
    snapshot_free(s);
    s = must_load(GOOD "    addresses: {eject: {}}\n");
    assert_int_equal(s->upstreams[0].origin.eject.failures, 5);
    assert_int_equal(s->upstreams[0].origin.eject.time_ns, 10 * S);
    assert_int_equal(s->upstreams[0].origin.eject.time_max_ns, 300 * S);
    snapshot_free(s);
    s = must_load(GOOD "    addresses: {eject: {failures: 2, time: 10m}}\n");
    assert_int_equal(s->upstreams[0].origin.eject.time_max_ns, 600 * S);
    snapshot_free(s);
    must_fail("    addresses: {eject: {time: 3s, time_max: 1s}}\n",
              "upstreams.p.addresses.eject.time_max: is shorter than time, 3s");
    must_fail("    addresses: {eject: 5}\n",
              "upstreams.p.addresses.eject: \"5\" is neither none nor a map; {} is one with the defaults");
}

/* Of a file that is right. */
static const struct config_errors *warnings_of(const char *text)
{
    static struct config_errors warnings;
    struct snapshot *s;

    memset(&warnings, 0, sizeof(warnings));
    memset(&errors, 0, sizeof(errors));
    errors.warnings = &warnings;
    assert_int_equal(config_load(span_of(text), &files, &s, &errors), ST_OK);
    snapshot_free(s);
    return &warnings;
}

static void an_url_with_one_address_is_told_that_nothing_is_left_out(void **state)
{
    const struct config_errors *warnings =
        warnings_of("upstreams:\n  p:\n    listen: 127.0.0.1:1\n    url: http://127.0.0.1\n"
                    "    addresses: {eject: {}}\n");

    (void)state;
    assert_int_equal(warnings->count, 1);
    assert_string_equal(warnings->list[0].text,
                        "upstreams.p.addresses.eject: never leaves anything out: the url has "
                        "one address; a breaker is for that");
}

static void a_volume_that_the_pools_rate_never_lets_come_about_is_told(void **state)
{
    const struct config_errors *warnings =
        warnings_of(GOOD "    pool: {rate: {limit: 1/s, burst: 5}}\n    breaker: {volume: 16}\n");

    (void)state;
    assert_int_equal(warnings->count, 1);
    assert_string_equal(warnings->list[0].text,
                        "upstreams.p.breaker.volume: ratio never says anything: the pool's rate "
                        "lets 15 calls start in 10s, fewer than volume, 16");
    warnings = warnings_of(GOOD "    pool: {rate: {limit: 1/s, burst: 5}}\n    breaker: {volume: 15}\n");
    assert_int_equal(warnings->count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_there_is_none),
        cmocka_unit_test(an_empty_map_is_one_with_the_defaults),
        cmocka_unit_test(every_key_has_its_place),
        cmocka_unit_test(one_status_needs_no_list),
        cmocka_unit_test(the_longest_open_time_follows_a_long_one),
        cmocka_unit_test(routes_inherit_have_their_own_or_none),
        cmocka_unit_test(a_route_alone_may_have_one),
        cmocka_unit_test(defaults_are_for_all_that_do_not_say_none),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(addresses_are_left_out_only_if_that_is_written),
        cmocka_unit_test(a_volume_that_the_pools_rate_never_lets_come_about_is_told),
        cmocka_unit_test(an_url_with_one_address_is_told_that_nothing_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
