/* What GET /durations says, read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "view/durations.h"

#define ROUTES                                                                                                                      \
    "{\"routes\":[{\"upstream\":\"a\",\"route\":\"default\",\"pool\":\"p\",\"deadline_us\":2000000,"                                \
    "\"observed\":true,\"longest_allowed_us\":60000000,\"for_us\":5000000,\"longest_us\":31000,"                                    \
    "\"spared\":2,\"cut\":{\"calls\":3,\"held_us\":900,\"took_us\":950},\"rejected\":{\"calls\":4,\"held_us\":0},"                  \
    "\"abandoned\":{\"calls\":5,\"held_us\":70},\"failed\":{\"calls\":6,\"held_us\":1},\"buckets\":[[64,10,300],[32768,2,60000]]}," \
    "{\"upstream\":\"a\",\"route\":\"/x\",\"pool\":null,\"deadline_us\":1000,\"observed\":false,"                                   \
    "\"longest_allowed_us\":1000}]"
#define POOLS ",\"pools\":[{\"name\":\"p\",\"size\":50,\"held_peak\":7}]}"

static void all_of_it_is_there(void **state)
{
    struct durations durations;
    const struct duration_route *route;

    assert_true(durations_read(&durations, span_of(ROUTES POOLS)));
    assert_int_equal(durations.route_count, 2);
    route = &durations.routes[0];
    assert_string_equal(route->upstream, "a");
    assert_string_equal(route->route, "default");
    assert_string_equal(route->pool, "p");
    assert_int_equal(route->deadline_us, 2000000);
    assert_int_equal(route->longest_allowed_us, 60000000);
    assert_true(route->observed);
    assert_int_equal(route->for_us, 5000000);
    assert_int_equal(route->longest_us, 31000);
    assert_int_equal(route->completed, 12);
    assert_int_equal(route->spared, 2);
    assert_int_equal(route->cut.calls, 3);
    assert_true(route->cut.held_us == 900 && route->cut.took_us == 950);
    assert_int_equal(route->rejected.calls, 4);
    assert_int_equal(route->abandoned.calls, 5);
    assert_int_equal(route->failed.calls, 6);
    assert_int_equal(route->bucket_count, 2);
    assert_int_equal(route->buckets[1].upto_us, 32768);
    assert_int_equal(route->buckets[1].calls, 2);
    assert_true(route->buckets[1].held_us == 60000);
    assert_int_equal(durations.pool_count, 1);
    assert_string_equal(durations.pools[0].name, "p");
    assert_int_equal(durations.pools[0].size, 50);
    assert_int_equal(durations.pools[0].held_peak, 7);
    durations_free(&durations);
}

static void a_route_without_calls_has_its_policy_alone(void **state)
{
    struct durations durations;

    assert_true(durations_read(&durations, span_of(ROUTES POOLS)));
    assert_string_equal(durations.routes[1].pool, "?");
    assert_false(durations.routes[1].observed);
    assert_int_equal(durations.routes[1].for_us, 0);
    assert_int_equal(durations.routes[1].bucket_count, 0);
    durations_free(&durations);
}

static void what_is_something_else_is_refused(void **state)
{
    static const char *const others[] = {
        "",
        "ok\n",
        "[]",
        "{\"routes\":[]}",
        "{\"pools\":[]}",
        "{\"routes\":{},\"pools\":[]}",
        "{\"routes\":[7],\"pools\":[]}",
        "{\"routes\":[{\"buckets\":[[64,1]]}],\"pools\":[]}",
        "{\"routes\":[{\"buckets\":[[64,0,0]]}],\"pools\":[]}",
        "{\"routes\":[{\"buckets\":[[0,1,0]]}],\"pools\":[]}",
        "{\"routes\":[{\"buckets\":[[64,1,-1]]}],\"pools\":[]}",
        "{\"routes\":[{\"buckets\":[[64,1,0],[64,1,0]]}],\"pools\":[]}",
        "{\"routes\":[{\"buckets\":[[128,1,0],[64,1,0]]}],\"pools\":[]}",
        ROUTES,
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct durations durations;

        assert_false(durations_read(&durations, span_of(others[i])));
        durations_free(&durations);
    }
}

/* The nth allocation of ours fails. */
static bool is_nth(void *arg, size_t size)
{
    return (*(int *)arg)-- == 0;
}

static void without_memory_nothing_is_read(void **state)
{
    bool is_read = false;
    int failures = 0;

    for (; !is_read; failures++) {
        struct durations durations;
        int left = failures;

        mem_set_fault(is_nth, &left);
        is_read = durations_read(&durations, span_of(ROUTES POOLS));
        mem_set_fault(NULL, NULL);
        durations_free(&durations);
    }
    assert_int_equal(failures, 5); /* the lists of routes and pools, and two of buckets: each is missed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_there),
        cmocka_unit_test(a_route_without_calls_has_its_policy_alone),
        cmocka_unit_test(what_is_something_else_is_refused),
        cmocka_unit_test(without_memory_nothing_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
