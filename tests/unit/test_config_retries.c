/* The retries of an upstream and of its routes: what is read, refused and warned of. */
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
#include "http/http1.h"

#define UPSTREAM "upstreams:\n  p:\n    listen: 127.0.0.1:1\n    url: http://a\n"
#define MS(n)    ((n)*NS_PER_MS)

static char *read_file(void *arg, const char *path, size_t *len, const char **why)
{
    *len = strlen(path);
    return mem_dup(path, *len);
}

static const struct config_files files = {.read = read_file};

static struct snapshot *load(const char *bytes)
{
    static struct config_errors errors;
    struct snapshot *snapshot = NULL;

    if (config_load(span_of(bytes), &files, &snapshot, &errors) != ST_OK)
        fail_msg("%s", errors.list[0].text);
    return snapshot;
}

/* "LINE:COLUMN: text" a line; the text without the path that stands before it. */
static const char *lines(const struct config_errors *errors)
{
    static char all[4096];
    size_t len = 0;

    all[0] = '\0';
    for (uint32_t i = 0; i < errors->count && len < sizeof(all) - 300; i++)
        len +=
            (size_t)snprintf(all + len, sizeof(all) - len, "%s%u:%u: %s", i ? "\n" : "", errors->list[i].line,
                             errors->list[i].column, strstr(errors->list[i].text, ": ") + 2);
    return all;
}

static const char *errors_of(const char *bytes)
{
    static struct config_errors errors;
    struct snapshot *snapshot = NULL;

    assert_int_equal(config_load(span_of(bytes), &files, &snapshot, &errors), ST_BAD);
    return lines(&errors);
}

static const char *warnings_of(const char *bytes)
{
    static const struct lint_bounds plenty = {1000000, UINT64_MAX, 0, 90 * NS_PER_S};
    static struct config_errors warnings;
    struct snapshot *snapshot = load(bytes);

    warnings.count = 0;
    assert_int_equal(lint_give(snapshot, &plenty, &warnings), ST_OK);
    snapshot_free(snapshot);
    return lines(&warnings);
}

static bool is(struct span span, const char *text)
{
    return span_eq(span, span_of(text));
}

/* ---- what is read ---------------------------------------------------------------------------------------- */

static void without_the_block_there_is_one_try(void **state)
{
    struct snapshot *s = load(UPSTREAM "    routes: [{path: /x}]\n");

    (void)state;
    assert_false(retries_are_on(&s->upstreams[0].default_route.retries));
    assert_false(retries_are_on(&s->upstreams[0].routes[0].retries));
    assert_false(s->upstreams[0].has_retries);
    assert_int_equal(s->limits.replay_bytes, 64 << 20);
    snapshot_free(s);
}

static void an_empty_block_has_the_defaults(void **state)
{
    struct snapshot *s = load(UPSTREAM "    retries: {}\n");
    const struct upstream_config *upstream = &s->upstreams[0];
    const struct retries_config *retries = &upstream->default_route.retries;

    (void)state;
    assert_true(upstream->has_retries);
    assert_int_equal(retries->policy.attempts, 2);
    assert_int_equal(retries->policy.when.kinds, 1u << RETRY_KIND_CONNECT | 1u << RETRY_KIND_RESET);
    for (uint16_t status = 400; status < 600; status++)
        assert_int_equal(retry_when_has_status(&retries->policy.when, status),
                         status >= 502 && status <= 504);
    assert_false(retries->policy.refused);
    assert_int_equal(retries->policy.base_ns, MS(25));
    assert_int_equal(retries->policy.max_ns, MS(250));
    assert_int_equal(retries->policy.retry_after_ns, MS(2000));
    assert_int_equal(retries->per_try_ns, NS_NEVER);
    assert_int_equal(retries->methods, 1u << HTTP1_GET | 1u << HTTP1_HEAD | 1u << HTTP1_OPTIONS |
                                           1u << HTTP1_PUT | 1u << HTTP1_DELETE);
    assert_true(is(retries->key, "Idempotency-Key"));
    assert_int_equal(retries->content_bytes, 65536);
    assert_int_equal(upstream->retry_share_percent, 20);
    assert_int_equal(upstream->retry_burst, 10);
    assert_int_equal(upstream->retry_tell.len, 0);
    assert_false(retries->say);
    snapshot_free(s);
}

static void what_is_written_counts(void **state)
{
    struct snapshot *s = load("limits: {replay: 1MiB}\n" UPSTREAM "    retries:\n"
                              "      attempts: 5\n"
                              "      when: [junk, timeout, dns, tls, 400, 599]\n"
                              "      per_try: 300ms\n"
                              "      backoff: {base: 0s, max: 1s}\n"
                              "      budget: {share: 100%, burst: 0}\n"
                              "      repeat: {methods: [POST, BREW], key: none, refused: true, content: 0B}\n"
                              "      retry_after: 0s\n"
                              "      tell: X-Try\n"
                              "      say: true\n");
    const struct upstream_config *upstream = &s->upstreams[0];
    const struct retries_config *retries = &upstream->default_route.retries;

    (void)state;
    assert_int_equal(s->limits.replay_bytes, 1 << 20);
    assert_int_equal(retries->policy.attempts, 5);
    assert_int_equal(retries->policy.when.kinds, 1u << RETRY_KIND_JUNK | 1u << RETRY_KIND_TIMEOUT |
                                                     1u << RETRY_KIND_DNS | 1u << RETRY_KIND_TLS);
    assert_true(retry_when_has_status(&retries->policy.when, 400));
    assert_true(retry_when_has_status(&retries->policy.when, 599));
    assert_true(retries->policy.refused);
    assert_int_equal(retries->per_try_ns, MS(300));
    assert_int_equal(retries->policy.base_ns, 0);
    assert_int_equal(retries->policy.max_ns, MS(1000));
    assert_int_equal(retries->policy.retry_after_ns, 0);
    assert_int_equal(retries->methods, 1u << HTTP1_POST);
    assert_int_equal(retries->method_count, 2);
    assert_true(is(retries->method_names[1], "BREW"));
    assert_int_equal(retries->key.len, 0);
    assert_int_equal(retries->content_bytes, 0);
    assert_int_equal(upstream->retry_share_percent, 100);
    assert_int_equal(upstream->retry_burst, 0);
    assert_true(is(upstream->retry_tell, "X-Try"));
    assert_true(forward_rules_drop(&upstream->rules, SPAN_LIT("x-try"))); /* the caller does not say it */
    assert_true(retries->say);
    snapshot_free(s);
}

static void a_route_has_its_own_and_the_rest_is_the_upstreams(void **state)
{
    struct snapshot *s = load("defaults: {retries: {attempts: 3, when: [429], per_try: 100ms}}\n" UPSTREAM
                              "    retries: {say: true, repeat: {methods: none, key: X-Key}}\n"
                              "    routes:\n"
                              "      - {path: /same}\n"
                              "      - {path: /none, retries: none}\n"
                              "      - {path: /own, retries: {attempts: 2, when: reset, per_try: none}}\n"
                              "  q:\n    listen: 127.0.0.1:2\n    url: http://a\n    retries: none\n"
                              "    routes: [{path: /on, retries: {}}]\n");
    const struct upstream_config *p = &s->upstreams[0], *q = &s->upstreams[1];

    (void)state;
    assert_int_equal(p->routes[0].retries.policy.attempts, 3);
    assert_true(retry_when_has_status(&p->routes[0].retries.policy.when, 429));
    assert_int_equal(p->routes[0].retries.methods, 0);
    assert_false(retries_are_on(&p->routes[1].retries));
    assert_int_equal(p->routes[2].retries.policy.attempts, 2);
    assert_false(retry_when_has_status(&p->routes[2].retries.policy.when, 429));
    assert_true(retry_when_has_kind(&p->routes[2].retries.policy.when, RETRY_KIND_RESET));
    assert_int_equal(p->routes[2].retries.per_try_ns, NS_NEVER);
    assert_true(p->routes[2].retries.say);
    assert_true(is(p->routes[2].retries.key, "X-Key"));
    assert_false(retries_are_on(&q->default_route.retries));
    assert_int_equal(q->routes[0].retries.policy.attempts, 3);
    assert_true(q->has_retries);
    snapshot_free(s);
}

#define OTHER "  q:\n    listen: 127.0.0.1:2\n    url: http://b\n"

static void a_fallback_is_another_upstream(void **state)
{
    struct snapshot *s =
        load("defaults: {retries: {fallback: q}}\n" UPSTREAM
             "    routes: [{path: /x, retries: {say: true}}, {path: /y, retries: {fallback: none}}]\n" OTHER);

    (void)state;
    assert_ptr_equal(s->upstreams[0].default_route.retries.fallback, &s->upstreams[1]);
    assert_ptr_equal(s->upstreams[0].routes[0].retries.fallback, &s->upstreams[1]);
    assert_null(s->upstreams[0].routes[1].retries.fallback);
    assert_null(s->upstreams[1].default_route.retries.fallback); /* itself */
    snapshot_free(s);
    assert_string_equal(errors_of(UPSTREAM "    retries: {fallback: quu}\n" OTHER),
                        "5:25: there is no upstream \"quu\"");
}

static void a_fallback_that_leads_back_is_warned_of(void **state)
{
    (void)state;
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {fallback: p}\n"),
        "5:25: p can't fall back to itself: its tries all go to the same API; another upstream, or "
        "none, is right");
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {fallback: q}\n" OTHER "    retries: {fallback: p}\n"),
        "5:25: p and q fall back to each other: when one of them fails, the other gets the calls of both; a third one, "
        "or one direction, is right\n"
        "9:25: q and p fall back to each other: when one of them fails, the other gets the calls of both; a third one, "
        "or one direction, is right");
    assert_string_equal(warnings_of(UPSTREAM "    retries: {fallback: q}\n" OTHER), "");
}

static void a_circle_of_three_is_warned_of_at_each_but_not_at_who_leads_into_it(void **state)
{
    (void)state;
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {fallback: q}\n" OTHER "    retries: {fallback: r}\n"
                             "  r: {listen: 127.0.0.1:3, url: http://a, retries: {fallback: q}}\n"),
        "9:25: q and r fall back to each other: when one of them fails, the other gets the calls of both; a third one, "
        "or one direction, is right\n"
        "10:63: r and q fall back to each other: when one of them fails, the other gets the calls of both; a third one, "
        "or one direction, is right");
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {fallback: q}\n" OTHER "    retries: {fallback: r}\n"
                             "  r: {listen: 127.0.0.1:3, url: http://a, retries: {fallback: p}}\n"),
        "5:25: p falls back to q, and through 1 more the circle comes back to it: when one fails, the next one gets "
        "the calls of both; an end, one without a fallback, is right\n"
        "9:25: q falls back to r, and through 1 more the circle comes back to it: when one fails, the next one gets "
        "the calls of both; an end, one without a fallback, is right\n"
        "10:63: r falls back to p, and through 1 more the circle comes back to it: when one fails, the next one gets "
        "the calls of both; an end, one without a fallback, is right");
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void what_can_not_be_is_said_with_its_place(void **state)
{
    (void)state;
    assert_string_equal(errors_of(UPSTREAM "    retries: yes\n"),
                        "5:14: \"yes\" is no way to retry; write none, or {attempts: 2}");
    assert_string_equal(errors_of(UPSTREAM "    retries: {attempts: 1}\n"),
                        "5:25: \"1\" is out of bounds: 2 to 5");
    assert_string_equal(
        errors_of(
            UPSTREAM
            "    retries: {when: [conect]}\n    routes: [{path: /x}, {path: /y, retries: {say: true}}]\n"),
        "5:22: \"conect\" is neither a status from 400 to 599 nor connect, dns, tls, reset, junk or timeout; "
        "did you mean \"connect\"?");
    assert_string_equal(errors_of(UPSTREAM "    retries: {repeat: {methods: [get], key: 'a b'}}\n"),
                        "5:34: \"get\" is not a method; methods are upper case\n"
                        "5:45: \"a b\" is not the name of a field");
    assert_string_equal(errors_of(UPSTREAM "    retries: {tell: Content-Length}\n"),
                        "5:21: \"Content-Length\" is set by curfew itself");
    assert_string_equal(errors_of(UPSTREAM "    retries: {backoff: {base: 1}}\n"),
                        "5:31: \"1\" has no unit; write for example 2s or 500ms");
}

static void budget_and_tell_are_no_routes(void **state)
{
    (void)state;
    assert_string_equal(
        errors_of(UPSTREAM
                  "    retries: {}\n    routes: [{path: /x, retries: {budget: {burst: 1}, tell: X-T}}]\n"),
        "6:44: is for all routes of an upstream; write it in the upstream's retries\n"
        "6:55: is for all routes of an upstream; write it in the upstream's retries");
}

static void one_field_has_one_writer(void **state)
{
    (void)state;
    assert_string_equal(
        errors_of(UPSTREAM "    retries: {tell: X-T}\n    caller_deadline: {headers: X-A, forward: x-t}\n"),
        "5:21: is what caller_deadline.forward writes");
    assert_string_equal(errors_of(UPSTREAM "    retries: {tell: X-T}\n    headers: {set: {X-T: a}}\n"),
                        "6:21: is what retries.tell writes");
}

/* ---- what is odd ----------------------------------------------------------------------------------------- */

static void what_makes_sense_is_no_matter(void **state)
{
    (void)state;
    assert_string_equal(warnings_of(UPSTREAM "    retries: {}\n"), "");
    assert_string_equal(
        warnings_of(UPSTREAM "    deadline: 1s\n    retries: {attempts: 2, per_try: 500ms}\n"), "");
    assert_string_equal(warnings_of("upstreams:\n  p:\n    listen: 127.0.0.1:1\n    url: https://a\n"
                                    "    retries: {repeat: {key: X-Key}}\n"),
                        "");
}

static void hedges_that_can_not_be_are_warned_of(void **state)
{
    struct snapshot *s = load(UPSTREAM "    deadline: 5s\n    hedge: true\n    retries: {per_try: 1s}\n"
                                       "    routes: [{path: /x, retries: {per_try: none}}]\n");

    (void)state;
    assert_true(s->upstreams[0].default_route.retries.hedges && !s->upstreams[0].routes[0].retries.hedges);
    snapshot_free(s);
    assert_string_equal(
        warnings_of(UPSTREAM "    deadline: 5s\n    hedge: true\n    pool: {size: 1}\n"
                             "    retries: {per_try: 1s}\n"),
        "8:24: hedge never finds a permit free: the pool has one, and the first try holds it; a pool "
        "of 2 or more, or no hedge, is right");
    assert_string_equal(
        warnings_of(UPSTREAM "    deadline: 5s\n    hedge: true\n    retries: {per_try: 1s}\n"), "");
}

static void tries_that_can_not_be_are_warned_of(void **state)
{
    (void)state;
    assert_string_equal(
        warnings_of(UPSTREAM "    deadline: 1s\n    retries: {per_try: 1s}\n"),
        "6:24: 1s can never strike: the deadline is 1s (line 5); less than that, or none, is right");
    assert_string_equal(
        warnings_of(UPSTREAM "    deadline: 1s\n    retries: {attempts: 3, per_try: 400ms}\n"),
        "6:37: 3 tries of 400ms each are longer than the deadline, 1s (line 5): the last ones never "
        "begin; 333ms, or fewer attempts, is right");
}

static void retries_that_no_request_may_have_are_warned_of(void **state)
{
    (void)state;
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {when: [503], repeat: {methods: none, key: none}}\n"),
        "5:21: a status is listed, and no request may be sent again after one: repeat has neither "
        "methods nor a key, nor is refused true; one of them, or no status, is right");
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {when: [connect], repeat: {methods: none, key: none}}\n"), "");
    assert_string_equal(
        warnings_of(UPSTREAM
                    "    retries: {when: [429], repeat: {methods: none, key: none, refused: true}}\n"),
        "");
}

static void a_key_without_tls_and_a_budget_without_a_share_are_warned_of(void **state)
{
    (void)state;
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {repeat: {key: X-Key}}\n"),
        "5:29: X-Key makes a payment safe to repeat only at an API that honours it, and this one is "
        "reached without TLS; https:// is right");
    assert_string_equal(
        warnings_of(UPSTREAM "    retries: {budget: {share: 0%}}\n"),
        "5:31: with a share of 0% no token ever comes back: after 10 retries there are none for good; "
        "20% is usual");
    assert_string_equal(warnings_of(UPSTREAM "    retries: {budget: {burst: 0, share: 0%}}\n"),
                        "5:31: a bucket that holds no token has none for any retry: there will be none; "
                        "10 is usual, or retries: none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_block_there_is_one_try),
        cmocka_unit_test(an_empty_block_has_the_defaults),
        cmocka_unit_test(what_is_written_counts),
        cmocka_unit_test(a_route_has_its_own_and_the_rest_is_the_upstreams),
        cmocka_unit_test(a_fallback_is_another_upstream),
        cmocka_unit_test(a_fallback_that_leads_back_is_warned_of),
        cmocka_unit_test(a_circle_of_three_is_warned_of_at_each_but_not_at_who_leads_into_it),
        cmocka_unit_test(what_can_not_be_is_said_with_its_place),
        cmocka_unit_test(budget_and_tell_are_no_routes),
        cmocka_unit_test(one_field_has_one_writer),
        cmocka_unit_test(what_makes_sense_is_no_matter),
        cmocka_unit_test(hedges_that_can_not_be_are_warned_of),
        cmocka_unit_test(tries_that_can_not_be_are_warned_of),
        cmocka_unit_test(retries_that_no_request_may_have_are_warned_of),
        cmocka_unit_test(a_key_without_tls_and_a_budget_without_a_share_are_warned_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
