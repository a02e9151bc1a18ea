/* The numbers of upstreams, routes and pools over reloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "config/load.h"
#include "config/numbering.h"

static struct numbering numbering;

static int tear_down(void **state)
{
    numbering_fini(&numbering);
    numbering = (struct numbering){0};
    return 0;
}

static struct snapshot *load(const char *bytes)
{
    static struct config_errors errors;
    struct snapshot *snapshot = NULL;
    const struct config_files files = {0};

    assert_int_equal(config_load(span_of(bytes), &files, &snapshot, &errors), ST_OK);
    return snapshot;
}

static struct snapshot *take(const char *bytes)
{
    struct snapshot *snapshot = load(bytes);

    assert_int_equal(numbering_take(&numbering, snapshot), ST_OK);
    return snapshot;
}

static void give_back(struct snapshot *snapshot)
{
    numbering_release(&numbering, snapshot);
    snapshot_free(snapshot);
}

#define A "  a: {listen: 127.0.0.1:1, url: http://a, routes: [{path: /x}, {path: /y, pool: {size: 1}}]}\n"
#define B "  b: {listen: 127.0.0.1:2, url: http://b, routes: [{path: /x}]}\n"
#define C "  c: {listen: 127.0.0.1:3, url: http://c}\n"

static void at_first_numbers_are_places(void **state)
{
    struct snapshot *s = take("upstreams:\n" A B);

    for (uint32_t i = 0; i < s->pool_count; i++) {
        assert_int_equal(s->pools[i].index, i);
        assert_true(s->pools[i].is_new);
    }
    assert_int_equal(s->upstreams[0].index, 0);
    assert_int_equal(s->upstreams[1].index, 1);
    assert_true(s->upstreams[1].is_new);
    assert_int_equal(s->upstreams[0].default_route.index, 0);
    assert_int_equal(s->upstreams[0].routes[1].index, 2);
    assert_int_equal(s->upstreams[1].default_route.index, 3);
    assert_int_equal(s->upstreams[1].routes[0].index, 4);
    assert_int_equal(s->upstreams[1].routes[0].pool, 2);
    give_back(s);
}

static void who_stays_keeps_his_number_though_he_moves(void **state)
{
    struct snapshot *old = take("upstreams:\n" A B);
    struct snapshot *new = take("pools: {p: {size: 3}}\nupstreams:\n" C B A);
    const struct upstream_config *a = &new->upstreams[2], *b = &new->upstreams[1], *c = &new->upstreams[0];

    assert_int_equal(a->index, 0);
    assert_int_equal(b->index, 1);
    assert_int_equal(c->index, 2);
    assert_false(a->is_new);
    assert_true(c->is_new);
    assert_int_equal(a->routes[0].index, 1);
    assert_int_equal(b->routes[0].index, 4);
    assert_int_equal(c->default_route.index, 5);
    assert_false(b->routes[0].is_new);
    assert_true(c->default_route.is_new);
    /* Pools are found by their numbers too, wherever they stand in the file. */
    assert_int_equal(a->default_route.pool, 0);
    assert_int_equal(a->routes[1].pool, 1);
    assert_int_equal(b->default_route.pool, 2);
    assert_int_equal(c->default_route.pool, new->pools[1].index);
    assert_true(new->pools[0].is_new);
    give_back(old);
    give_back(new);
}

static void a_number_is_free_when_the_last_snapshot_with_its_name_has_gone(void **state)
{
    struct snapshot *first = take("upstreams:\n" A B);
    struct snapshot *second = take("upstreams:\n" A);
    struct snapshot *third = take("upstreams:\n" A C);
    struct snapshot *fourth;

    assert_int_equal(third->upstreams[1].index, 2); /* calls to b may still be in flight */
    give_back(first);
    give_back(second);
    fourth = take("upstreams:\n" A C "  d: {listen: 127.0.0.1:4, url: http://d}\n");
    assert_int_equal(fourth->upstreams[2].index, 1); /* b's */
    assert_true(fourth->upstreams[2].is_new);
    assert_int_equal(fourth->upstreams[2].default_route.index, 3);
    assert_int_equal(fourth->upstreams[1].index, 2);
    assert_false(fourth->upstreams[1].is_new);
    give_back(third);
    give_back(fourth);
}

static void names_that_come_back_while_they_are_in_use_have_their_old_numbers(void **state)
{
    struct snapshot *first = take("upstreams:\n" A B);
    struct snapshot *second = take("upstreams:\n" A);
    struct snapshot *third = take("upstreams:\n" B A);

    assert_int_equal(third->upstreams[0].index, 1);
    assert_false(third->upstreams[0].is_new);
    give_back(second);
    give_back(first);
    give_back(third);
}

static void numbers_do_not_grow_with_reloads(void **state)
{
    struct snapshot *last = take("upstreams:\n" A);

    for (int i = 0; i < 100; i++) {
        struct snapshot *next = take(i % 2 == 0 ? "upstreams:\n" B : "upstreams:\n" A);

        assert_in_range(next->upstreams[0].index, 0, 1);
        assert_in_range(next->upstreams[0].default_route.index, 0, 4);
        give_back(last);
        last = next;
    }
    give_back(last);
}

static bool fails_now(void *arg, size_t size)
{
    int *left = arg;

    return (*left)-- == 0;
}

static void without_memory_nothing_has_changed(void **state)
{
    struct snapshot *old = take("upstreams:\n" A);
    struct snapshot *new = load("upstreams:\n" B C A);
    enum status status = ST_NOMEM;
    int failures = -1;

    for (int nth = 0; status == ST_NOMEM; nth++) {
        int left = nth;

        mem_set_fault(fails_now, &left);
        status = numbering_take(&numbering, new);
        mem_set_fault(NULL, NULL);
        failures++;
    }
    assert_true(failures > 3);
    assert_int_equal(new->upstreams[2].index, old->upstreams[0].index);
    assert_int_equal(new->upstreams[0].index, 1);
    give_back(old);
    give_back(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(at_first_numbers_are_places, tear_down),
        cmocka_unit_test_teardown(who_stays_keeps_his_number_though_he_moves, tear_down),
        cmocka_unit_test_teardown(a_number_is_free_when_the_last_snapshot_with_its_name_has_gone, tear_down),
        cmocka_unit_test_teardown(names_that_come_back_while_they_are_in_use_have_their_old_numbers,
                                  tear_down),
        cmocka_unit_test_teardown(numbers_do_not_grow_with_reloads, tear_down),
        cmocka_unit_test_teardown(without_memory_nothing_has_changed, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
