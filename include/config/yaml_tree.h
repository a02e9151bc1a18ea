#ifndef CURFEW_CONFIG_YAML_TREE_H
#define CURFEW_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "config/arena.h"
#include "config/load.h"

/*
 * A YAML document as a tree in which every value knows its place in the file, so that whoever finds it wrong can
 * say where it stands. Types are not guessed: 2, "2" and true are texts, and their reader decides.
 *
 * Left out on purpose: anchors and aliases (a small file could stand for a huge tree), tags, keys that are not
 * text, and more than one document in a file.
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

#define YAML_BYTES_MAX   (1 << 20)
#define YAML_DEPTH_MAX   16
#define YAML_ENTRIES_MAX 4096 /* of one map or list */

#define YAML_FOREACH(node, parent_node)                                                                      \
    for (const struct yaml_node *node = (parent_node)->first; node; node = node->next)

/*
 * ST_OK: *root is a map in the arena, or NULL if nothing is in the file; a key that came twice is reported, and the
 * first one kept; so is a variable that is not set. ST_BAD: what is wrong is reported, and there is no tree. ST_NOMEM.
 * `files` may be NULL.
 */
enum status yaml_tree_read(struct arena *arena, const struct config_source *source,
                           const struct config_files *files, struct config_errors *errors,
                           struct yaml_node **root) MUST_CHECK;

/*
 * Makes one tree of several, some of which may be NULL: the names in `upstreams`, `pools` and `forward` come together,
 * and all other keys have to be in one file; what is there twice is reported, and the first one kept. The roots are
 * used up; *out is NULL if all are.
 */
void yaml_tree_merge(struct yaml_node **roots, uint32_t count, struct config_errors *errors,
                     struct yaml_node **out);

/* NULL if the map has no such key, or `map` is none. */
const struct yaml_node *yaml_tree_get(const struct yaml_node *map, struct span key);

/* A list with a copy of `node` alone, which has the node's place, path and key. NULL: no memory. */
const struct yaml_node *yaml_tree_list_of(struct arena *arena, const struct yaml_node *node)
    __attribute__((warn_unused_result));

/* A key as it can stand in a line of text: in quotes where it is no plain word. */
void yaml_tree_put_key(struct text *out, struct span key);

/* Where the node stands: "upstreams.payments.routes[0].path"; nothing for the root. */
void yaml_tree_put_path(struct text *out, const struct yaml_node *node);

#endif
