#include "call/call_set.h"

#include "base/invariant.h"
#include "base/mem.h"

static void init_list(struct call_list *list)
{
    *list = (struct call_list){0};
    list_init(&list->places);
    list_init(&list->ghosts);
    list_init(&list->hedges);
}

void call_set_init(struct call_set *set)
{
    *set = (struct call_set){0};
    init_list(&set->reading);
}

void call_set_fini(struct call_set *set)
{
    PRE(call_list_next(&set->reading, &set->reading.places) == NULL); /* a walk's markers may be left */
    mem_free(set->by_pool);
    set->by_pool = NULL;
    set->pool_count = 0;
}

struct call_list *call_lists_new(uint32_t count)
{
    struct call_list *lists = mem_calloc(count, sizeof(struct call_list));

    for (uint32_t i = 0; lists != NULL && i < count; i++)
        init_list(&lists[i]);
    return lists;
}

/* Before the marker, which leaves the list, and another one takes its place. */
static void replace_marker(struct call_place *marker, struct call_place *by)
{
    PRE(marker->call == NULL && by->call == NULL);
    list_insert_before(&marker->node, &by->node);
    list_remove(&marker->node);
}

static void move_list(struct call_list *to, struct call_list *from)
{
    PRE(list_is_empty(&to->places)); /* a new one */
    if (call_cursor_is_set(&from->audit)) {
        replace_marker(&from->audit.at, &to->audit.at);
        replace_marker(&from->audit.end, &to->audit.end);
    }
    list_append_all(&to->places, &from->places);
    list_append_all(&to->ghosts, &from->ghosts);
    list_append_all(&to->hedges, &from->hedges);
}

void call_set_grow(struct call_set *set, struct call_list *lists, uint32_t count)
{
    PRE(count >= set->pool_count);
    for (uint32_t i = 0; i < set->pool_count; i++)
        move_list(&lists[i], &set->by_pool[i]);
    mem_free(set->by_pool);
    set->by_pool = lists;
    set->pool_count = count;
}

bool call_cursor_is_set(const struct call_cursor *cursor)
{
    return cursor->at.node.next != NULL && !list_is_empty(&cursor->at.node);
}

void call_cursor_start(struct call_cursor *cursor, struct call_list *list)
{
    *cursor = (struct call_cursor){0};
    list_push_front(&list->places, &cursor->at.node);
    list_push_back(&list->places, &cursor->end.node);
}

struct call *call_cursor_next(struct call_cursor *cursor)
{
    struct list_node *node = cursor->at.node.next;
    struct call_place *place;

    if (!call_cursor_is_set(cursor))
        return NULL;
    for (; node != &cursor->end.node; node = node->next) {
        place = CONTAINER_OF(node, struct call_place, node);
        if (place->call == NULL)
            continue;
        list_remove(&cursor->at.node);
        list_insert_before(place->node.next, &cursor->at.node);
        return place->call;
    }
    call_cursor_stop(cursor);
    return NULL;
}

void call_cursor_stop(struct call_cursor *cursor)
{
    if (!call_cursor_is_set(cursor))
        return;
    list_remove(&cursor->at.node);
    list_remove(&cursor->end.node);
}
