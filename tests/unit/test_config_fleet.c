#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "config/fleet_terms.h"
#include "config/lint.h"
#include "config/load.h"

#define S     INT64_C(1000000000)
#define MS    INT64_C(1000000)
#define API   "\nupstreams: {p: {listen: 127.0.0.1:1, url: 'http://a', deadline: 2s, pool: "
#define FLEET "fleet: {store: 'redis://127.0.0.1', name: prod, hosts: 5}"

static char *read_file(void *arg, const char *path, size_t *len, const char **why)
{
    (void)arg;
    *len = 1;
    if (strcmp(path, "/secret") == 0)
        return mem_dup("x", 1);
    *why = "No such file or directory";
    return NULL;
}

static const struct config_files files = {.read = read_file};
static struct config_errors errors;

/* NULL: it is wrong. */
static struct snapshot *load(const char *fleet, const char *pool)
{
    struct snapshot *snapshot = NULL;
    char text[2000];

    memset(&errors, 0, sizeof(errors));
    snprintf(text, sizeof(text), "%s" API "%s}}\n", fleet, pool);
    if (config_load(span_of(text), &files, &snapshot, &errors) != ST_OK)
        return NULL;
    return snapshot;
}

static struct snapshot *must_load(const char *fleet, const char *pool)
{
    struct snapshot *snapshot = load(fleet, pool);

    if (snapshot == NULL)
        fail_msg("%s", errors.list[0].text);
    return snapshot;
}

static void must_fail(const char *fleet, const char *pool, const char *why)
{
    assert_null(load(fleet, pool));
    assert_int_equal(errors.count, 1);
    if (strstr(errors.list[0].text, why) == NULL)
        fail_msg("%s", errors.list[0].text);
}

static void left_out_there_is_none(void **state)
{
    struct snapshot *s = must_load("drain: 1s", "{size: 7}");

    (void)state;
    assert_false(s->fleet.enabled);
    assert_null(s->pools[0].fleet);
    assert_int_equal(s->pools[0].host_size, 7);
    snapshot_free(s);
}

static void what_is_not_written_has_its_default(void **state)
{
    struct snapshot *s = must_load(FLEET, "{size: 50, fleet: true}");
    const struct fleet_config *fleet = &s->fleet;

    (void)state;
    assert_true(fleet->enabled);
    assert_string_equal(fleet->name, "prod");
    assert_int_equal(fleet->fallback, FLEET_SHARE);
    assert_int_equal(fleet->ride_out_ns, 10 * S);
    assert_int_equal(fleet->renew_ns, S);
    assert_int_equal(fleet->store.timeout_ns, 250 * MS);
    assert_int_equal(fleet->margin_ns, 5 * S);
    assert_int_equal(fleet->store.places[0].port, 6379);
    assert_string_equal(fleet->store.places[0].host, "127.0.0.1");
    assert_string_equal(s->pools[0].fleet, "p");
    assert_int_equal(s->pools[0].weight, 1);
    assert_int_equal(s->pools[0].reserve, 0);
    assert_int_equal(s->pools[0].host_size, 50);
    snapshot_free(s);
}

static void a_store_is_where_its_url_says(void **state)
{
    struct snapshot *s = must_load(
        "fleet: {store: ['redis://[::1]:7000/3', 'redis://b:80'], name: n, hosts: 2}", "{fleet: shared}");

    (void)state;
    assert_int_equal(s->fleet.store.place_count, 2);
    assert_string_equal(s->fleet.store.places[0].host, "::1");
    assert_int_equal(s->fleet.store.places[0].port, 7000);
    assert_int_equal(s->fleet.store.places[1].port, 80);
    assert_string_equal(s->pools[0].fleet, "shared");
    snapshot_free(s);
    s = must_load("fleet: {store: 'unix:/run/redis.sock', name: n, fallback: closed}", "{fleet: true}");
    assert_null(s->fleet.store.places[0].host);
    assert_string_equal(s->fleet.store.places[0].path, "/run/redis.sock");
    snapshot_free(s);
    s = must_load("fleet: {store: 'rediss://r', name: n, fallback: open, sentinel: m, user: u, "
                  "password: {file: /secret}, tls: {ca_file: /secret, server_name: redis.test}}",
                  "{fleet: true}");
    assert_true(s->fleet.store.has_tls);
    assert_int_equal(s->fleet.store.places[0].port, 26379);
    assert_string_equal(s->fleet.store.sentinel, "m");
    assert_string_equal(s->fleet.store.password_file, "/secret");
    assert_string_equal(s->fleet.store.tls.server_name, "redis.test");
    snapshot_free(s);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    must_fail("drain: 1s", "{fleet: true}", "there is no fleet; write fleet:");
    must_fail("fleet: {store: 'redis://a', name: n}", "{fleet: true}", "fleet: hosts is missing");
    must_fail("fleet: {store: 'redis://u:secret@a', name: n, hosts: 2}", "{fleet: true}",
              "user and password have no place here");
    assert_null(strstr(errors.list[0].text, "secret"));
    must_fail("fleet: {store: 'http://a', name: n, hosts: 2}", "{fleet: true}",
              "must start with redis://, rediss:// or unix:/");
    must_fail("fleet: {store: 'redis://a/x', name: n, hosts: 2}", "{fleet: true}",
              "the number of a database");
    must_fail("fleet: {store: ['redis://a', 'rediss://b'], name: n, hosts: 2}", "{fleet: true}",
              "all are alike");
    must_fail("fleet: {store: 'redis://a', name: 'a b', hosts: 2}", "{fleet: true}", "a name is 1 to 64");
    must_fail("fleet: {store: 'redis://a', name: n, hosts: 2, password: x}", "{fleet: true}",
              "write password: {file: /PATH}");
    must_fail("fleet: {store: 'redis://a', name: n, hosts: 2, password: {file: /none}}", "{fleet: true}",
              "No such file");
    must_fail("fleet: {store: 'redis://a', name: n, hosts: 2, user: u}", "{fleet: true}", "needs password");
    must_fail("fleet: {store: 'redis://a', name: n, hosts: 2, tls: {min_version: '1.3'}}", "{fleet: true}",
              "only for rediss://");
    must_fail("fleet: {name: n, hosts: 2}", "{fleet: true}", "store");
    must_fail(FLEET, "{fleet: true, size: 9, reserve: 2}", "2 for each of 5 hosts are more than the size, 9");
    must_fail("fleet: {store: 'redis://a', name: n, fallback: open}", "{fleet: true, reserve: 1}",
              "needs fleet.hosts");
    must_fail("fleet: {store: 'redis://a', name: n, fallback: open}", "{fleet: true, rate: {limit: 9/s}}",
              "needs fleet.hosts beside a rate");
    must_fail(FLEET, "{fleet: true, size: 9, host_size: 10}", "more than the fleet has permits, 9");
    must_fail(FLEET, "{fleet: 'x y'}", "neither false nor true nor a name");
}

static void a_block_is_lent_by_the_longest_call_of_its_pool(void **state)
{
    struct snapshot *s =
        must_load(FLEET, "{size: 50, fleet: true, linger: 1s, reserve: 2, host_size: 20}, "
                         "routes: [{path: /a, deadline: 30s}, {path: /b, pool: {}, deadline: 1h}]");
    struct block_terms terms = fleet_terms(s, &s->pools[0]);

    (void)state;
    assert_int_equal(terms.longest_ns, 31 * S);
    assert_int_equal(terms.size, 40);
    assert_int_equal(terms.host_size, 18);
    assert_int_equal(terms.fallback_size, 8);
    assert_true(terms.glides);
    assert_true(terms.lease_ns >= 2 * terms.longest_ns + 11 * S);
    snapshot_free(s);
}

static void what_is_divided_among_hosts_is_one_at_the_least(void **state)
{
    struct snapshot *s = must_load(FLEET, "{fleet: true}, routes: [{path: /a, pool: {fleet: false}}]");
    const struct pool_config *shared = &s->pools[0], *own = &s->pools[1];

    (void)state;
    assert_true(shared->fleet != NULL && own->fleet == NULL);
    assert_int_equal(s->fleet.hosts, 5);
    assert_int_equal(fleet_part(s, shared, 0), 0);
    assert_int_equal(fleet_part(s, shared, 4), 1);
    assert_int_equal(fleet_part(s, shared, 5), 1);
    assert_int_equal(fleet_part(s, shared, 14), 2);
    assert_int_equal(fleet_part(s, shared, UINT32_MAX), UINT32_MAX / 5);
    assert_int_equal(fleet_part(s, own, 14), 14);
    snapshot_free(s);
}

static const char *warning(const char *fleet, const char *pool)
{
    static struct config_errors warnings;
    struct snapshot *s = must_load(fleet, pool);
    struct lint_bounds bounds = {.stop_ns = INT64_MAX, .descriptors = UINT64_MAX, .memory_bytes = UINT64_MAX};

    memset(&warnings, 0, sizeof(warnings));
    assert_int_equal(lint_give(s, &bounds, &warnings), ST_OK);
    snapshot_free(s);
    return warnings.count == 1 ? warnings.list[0].text : warnings.count == 0 ? "" : "several";
}

static void what_is_odd_is_warned_of(void **state)
{
    (void)state;
    assert_string_equal(warning(FLEET, "{fleet: true}"), "");
    assert_non_null(strstr(warning(FLEET, "{fleet: true, size: 4}"), "4 over 5 hosts leave none for each"));
    assert_non_null(strstr(warning(FLEET, "{}"), "no pool has fleet: true"));
    assert_non_null(strstr(warning("fleet: {store: 'redis://10.0.0.1', name: n, hosts: 5}", "{fleet: true}"),
                           "reached without TLS"));
    assert_non_null(strstr(
        warning("fleet: {store: 'redis://localhost', name: n, hosts: 5, ride_out: 2s}", "{fleet: true}"),
        "less than three times renew"));
    assert_non_null(strstr(
        warning("fleet: {store: 'redis://localhost', name: n, hosts: 5, ride_out: 5m}", "{fleet: true}"),
        "a host that dies keeps its block"));
    assert_non_null(
        strstr(warning("", "{size: 4, reserve: 1}"), "reserve: has no effect: only a pool with fleet: true"));
    assert_non_null(strstr(warning("", "{host_size: 4}"), "host_size: has no effect"));
    assert_string_equal(warning("", "{weight: 2, fleet: false}"), "");
    assert_non_null(strstr(warning(FLEET, "{size: 50, fleet: true, reserve: 3, host_size: 2}"),
                           "3 permits are kept for this host, which may use 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_there_is_none),
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(a_store_is_where_its_url_says),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_block_is_lent_by_the_longest_call_of_its_pool),
        cmocka_unit_test(what_is_divided_among_hosts_is_one_at_the_least),
        cmocka_unit_test(what_is_odd_is_warned_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
