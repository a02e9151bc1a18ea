#ifndef CURFEW_CONFIG_YAML_TREE_H
#define CURFEW_CONFIG_YAML_TREE_H

#include <stdint.h>

#include "base/status.h"
#include "config/arena.h"
#include "config/errors.h"
#include "config/source.h"
#include "config/yaml_node.h"

/*
 * Reads a YAML document into a tree (config/yaml_node).
 *
 * Left out on purpose: anchors and aliases (a small file could stand for a huge tree), tags, keys that are not
 * text, and more than one document in a file.
 */

#define YAML_BYTES_MAX   (1 << 20)
#define YAML_DEPTH_MAX   16
#define YAML_ENTRIES_MAX 4096 /* of one map or list */

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

#endif
