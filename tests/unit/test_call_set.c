#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call/call_set.h"

/* As far as its list goes, a call is its place and who it is. */
struct call {
    int number;
    struct call_place place;
};

#define CALLS 9

struct world {
    struct call_set set;
    struct call calls[CALLS];
};

static void begin(struct world *world, uint32_t pools)
{
    struct call_list *lists = call_lists_new(pools);

    assert_non_null(lists);
    call_set_init(&world->set);
    call_set_grow(&world->set, lists, pools);
    for (int i = 0; i < CALLS; i++) {
        world->calls[i].number = i + 1;
        world->calls[i].place.call = &world->calls[i];
        list_init(&world->calls[i].place.node);
    }
}

static void add(struct world *world, int number, uint32_t pool)
{
    call_list_push(&world->set.by_pool[pool], &world->calls[number - 1].place);
}

static void end(struct world *world, int number)
{
    list_remove(&world->calls[number - 1].place.node);
}

/* The numbers of the calls on a list, in order, as the digits of one number. */
static int digits(const struct call_list *list)
{
    int all = 0;

    CALL_LIST_FOREACH(call, list)
        all = all * 10 + call->number;
    return all;
}

static int next(struct call_cursor *cursor)
{
    struct call *call = call_cursor_next(cursor);

    return call != NULL ? call->number : 0;
}

static void walks_do_not_see_cursors(void **state)
{
    struct world world;
    struct call_cursor first, second;

    (void)state;
    begin(&world, 2);
    for (int i = 1; i <= 3; i++)
        add(&world, i, 0);
    add(&world, 4, 1);
    call_cursor_start(&first, &world.set.by_pool[0]);
    call_cursor_start(&second, &world.set.by_pool[0]);
    assert_int_equal(next(&first), 1);
    assert_int_equal(next(&second), 1);
    assert_int_equal(next(&second), 2);
    assert_int_equal(next(&first), 2);
    assert_int_equal(digits(&world.set.by_pool[0]), 123);
    assert_int_equal(digits(&world.set.by_pool[1]), 4);
    call_cursor_stop(&first);
    assert_int_equal(next(&second), 3);
    assert_int_equal(next(&second), 0);
    assert_false(call_cursor_is_set(&second));
    assert_int_equal(next(&second), 0);
    call_set_fini(&world.set);
}

/* One that ends before its turn is not given, one that has come since then is not waited for, and nobody comes twice. */
static void cursor_keeps_its_place_while_calls_come_and_go(void **state)
{
    struct world world;
    struct call_cursor cursor;

    (void)state;
    begin(&world, 1);
    for (int i = 1; i <= 4; i++)
        add(&world, i, 0);
    call_cursor_start(&cursor, &world.set.by_pool[0]);
    assert_int_equal(next(&cursor), 1);
    end(&world, 1);
    end(&world, 2);
    add(&world, 5, 0);
    assert_int_equal(next(&cursor), 3);
    end(&world, 4);
    assert_int_equal(next(&cursor), 0);
    assert_int_equal(digits(&world.set.by_pool[0]), 35);
    call_set_fini(&world.set);
}

static void cursor_of_an_empty_list_gives_nothing(void **state)
{
    struct world world;
    struct call_cursor cursor;

    (void)state;
    begin(&world, 1);
    call_cursor_start(&cursor, &world.set.by_pool[0]);
    assert_true(call_cursor_is_set(&cursor));
    add(&world, 1, 0);
    assert_int_equal(next(&cursor), 0);
    call_set_fini(&world.set);
}

static void more_pools_move_calls_and_cursors(void **state)
{
    struct world world;
    struct call_cursor cursor;
    struct call_list *lists = call_lists_new(2);

    (void)state;
    begin(&world, 1);
    for (int i = 1; i <= 3; i++)
        add(&world, i, 0);
    call_cursor_start(&cursor, &world.set.by_pool[0]);
    call_cursor_start(&world.set.by_pool[0].audit, &world.set.by_pool[0]);
    assert_int_equal(next(&cursor), 1);
    assert_int_equal(next(&world.set.by_pool[0].audit), 1);
    assert_int_equal(next(&world.set.by_pool[0].audit), 2);
    call_set_grow(&world.set, lists, 2);
    add(&world, 4, 1);
    assert_int_equal(next(&cursor), 2);
    assert_int_equal(next(&world.set.by_pool[0].audit), 3);
    assert_int_equal(next(&world.set.by_pool[0].audit), 0);
    assert_false(call_cursor_is_set(&world.set.by_pool[1].audit));
    assert_int_equal(digits(&world.set.by_pool[0]), 123);
    assert_int_equal(digits(&world.set.by_pool[1]), 4);
    call_set_fini(&world.set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_do_not_see_cursors),
        cmocka_unit_test(cursor_keeps_its_place_while_calls_come_and_go),
        cmocka_unit_test(cursor_of_an_empty_list_gives_nothing),
        cmocka_unit_test(more_pools_move_calls_and_cursors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
