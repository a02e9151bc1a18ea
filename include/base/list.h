#ifndef CURFEW_BASE_LIST_H
#define CURFEW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/invariant.h"

/*
 * Intrusive circular doubly linked list. A head and a node are the same struct; a node that is on no list points
 * to itself, so removing it again is harmless and "is it linked?" is one comparison. One that has never been on a list
 * may be all zero instead. Single-threaded.
 */
struct list_node {
    struct list_node *prev, *next;
};

#define CONTAINER_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list_node *node)
{
    node->prev = node->next = node;
}

/* Head: is the list empty? Node: is it on no list? */
static inline bool list_is_empty(const struct list_node *node)
{
    return node->next == node;
}

/* Is it on no list, so that it may be put on one? */
static inline bool list_is_alone(const struct list_node *node)
{
    return node->next == node || node->next == NULL;
}

static inline void list_insert_before(struct list_node *at, struct list_node *node)
{
    PRE(list_is_alone(node));
    PRE(at->prev->next == at);
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    list_insert_before(head, node);
}

static inline void list_push_front(struct list_node *head, struct list_node *node)
{
    list_insert_before(head->next, node);
}

static inline void list_remove(struct list_node *node)
{
    PRE(node->prev->next == node && node->next->prev == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, unlinked; NULL of an empty list. */
static inline struct list_node *list_take_front(struct list_node *head)
{
    struct list_node *node = head->next;

    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_append_all(struct list_node *to, struct list_node *from)
{
    PRE(to != from);
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* The body must not unlink the next node; to unlink nodes while walking, take them off the front. */
#define LIST_FOREACH(node, head)                                                                             \
    for (struct list_node *node = (head)->next; node != (head); node = node->next)

#endif
