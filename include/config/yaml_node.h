#ifndef CURFEW_CONFIG_YAML_NODE_H
#define CURFEW_CONFIG_YAML_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "config/arena.h"
#include "config/source.h"

/*
 * A value of a YAML document, which knows its place in the file, so that whoever finds it wrong can say where it
 * stands. Types are not guessed: 2, "2" and true are texts, and their reader decides.
 */
enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    const struct config_source *source; /* the file that it stands in */
    bool is_null;                       /* a text without quotes that is empty, ~ or null */
    bool is_bad;                        /* a text that has been found wrong: no more is to be said of it */
    bool is_alone;                      /* a list of one value, which stands where the list is meant */
    uint32_t line, column;              /* from 1; column in characters */
    uint32_t key_line, key_column;      /* of the key it stands behind; in a list, its own place */
    struct span key;                    /* in a map */
    struct span text;                   /* of a text, with its variables put in; terminated, no NUL in it */
    uint32_t index;                     /* in its parent, from 0 */
    uint32_t count;                     /* of children */
    const struct yaml_node *parent;     /* NULL: the root */
    struct yaml_node *next;             /* of the same parent */
    struct yaml_node *first, *last;     /* children, in the order of the file */
};

#define YAML_FOREACH(node, parent_node)                                                                      \
    for (const struct yaml_node *node = (parent_node)->first; node; node = node->next)

/* NULL if the map has no such key, or `map` is none. */
const struct yaml_node *yaml_node_get(const struct yaml_node *map, struct span key);

/* A list with a copy of `node` alone, which has the node's place, path and key. NULL: no memory. */
const struct yaml_node *yaml_node_list_of(struct arena *arena, const struct yaml_node *node)
    __attribute__((warn_unused_result));

/* A key as it can stand in a line of text: in quotes where it is no plain word. */
void yaml_node_put_key(struct text *out, struct span key);

/* Where the node stands: "upstreams.payments.routes[0].path"; nothing for the root. */
void yaml_node_put_path(struct text *out, const struct yaml_node *node);

#endif
