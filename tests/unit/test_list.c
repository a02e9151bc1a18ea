#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct list_node node;
};

static void init(struct list_node *head, struct item *items, int count)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].number = i;
        list_init(&items[i].node);
    }
}

/* The numbers on the list, in order, as the digits of one number. */
static int digits(const struct list_node *head)
{
    int all = 0;

    LIST_FOREACH(node, head) {
        all = all * 10 + CONTAINER_OF(node, struct item, node)->number;
    }
    return all;
}

static void nodes_stay_in_the_order_in_which_they_were_put(void **state)
{
    struct list_node head;
    struct item items[4];

    init(&head, items, 4);
    assert_true(list_is_empty(&head));
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[3].node);
    assert_int_equal(digits(&head), 312);
    list_insert_before(&items[2].node, &items[0].node);
    assert_int_equal(digits(&head), 3102);
    assert_false(list_is_empty(&head));
}

static void a_node_leaves_from_the_middle_and_may_leave_twice(void **state)
{
    struct list_node head;
    struct item items[4];

    init(&head, items, 4);
    for (int i = 1; i < 4; i++)
        list_push_back(&head, &items[i].node);
    list_remove(&items[2].node);
    assert_int_equal(digits(&head), 13);
    assert_true(list_is_empty(&items[2].node));
    list_remove(&items[2].node);
    assert_int_equal(digits(&head), 13);
}

static void nodes_are_taken_off_the_front_until_none_is_left(void **state)
{
    struct list_node head;
    struct item items[2];

    init(&head, items, 2);
    list_push_back(&head, &items[0].node);
    list_push_back(&head, &items[1].node);
    assert_ptr_equal(list_take_front(&head), &items[0].node);
    assert_true(list_is_empty(&items[0].node));
    assert_ptr_equal(list_take_front(&head), &items[1].node);
    assert_null(list_take_front(&head));
    assert_true(list_is_empty(&head));
}

static void a_whole_list_is_moved_to_the_end_of_another(void **state)
{
    struct list_node head, other;
    struct item items[4];

    init(&head, items, 4);
    list_init(&other);
    list_push_back(&head, &items[1].node);
    list_append_all(&head, &other);
    assert_int_equal(digits(&head), 1);
    list_push_back(&other, &items[2].node);
    list_push_back(&other, &items[3].node);
    list_append_all(&head, &other);
    assert_int_equal(digits(&head), 123);
    assert_true(list_is_empty(&other));
    list_append_all(&other, &head);
    assert_int_equal(digits(&other), 123);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_stay_in_the_order_in_which_they_were_put),
        cmocka_unit_test(a_node_leaves_from_the_middle_and_may_leave_twice),
        cmocka_unit_test(nodes_are_taken_off_the_front_until_none_is_left),
        cmocka_unit_test(a_whole_list_is_moved_to_the_end_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
