#ifndef CURFEW_CONFIG_SCHEMA_H
#define CURFEW_CONFIG_SCHEMA_H

#include <stdint.h>

#include "base/status.h"
#include "config/arena.h"
#include "config/errors.h"
#include "config/options.h"
#include "config/place.h"
#include "config/yaml_node.h"

/*
 * From a tree to the values of options, by the table alone: unknown keys, wrong types and values out of bounds are
 * reported here, once for all options.
 *
 * No option stands in two sections, so one array holds all values that are in force somewhere. What is more special
 * is read over a copy of what is more general (the built-in defaults, then `defaults`, the upstream, its route),
 * and that merges them key by key.
 */
struct option_value {
    const struct yaml_node *node; /* of its type; NULL: none is written, or only wrong ones */
    int64_t number;               /* of the types that option_read reads */
    bool is_written;              /* even if it is wrong */
    const struct place *place;    /* of `node`; filled in by build_places for some options */
};

struct option_values {
    struct option_value of[OPT_COUNT];
};

/* The built-in defaults. */
void schema_init(struct option_values *values);

/*
 * Reads the members of `node`, which has to be a map, over `values`, and those of the maps nested in it. Lists, and
 * maps of names, are checked to be such and left to their builder; one value where a list is meant has become a list
 * of one, in `scratch`. ST_NOMEM or ST_OK.
 */
enum status schema_read(struct option_values *values, enum option_section section,
                        const struct yaml_node *node, struct arena *scratch,
                        struct config_errors *errors) MUST_CHECK;

/* Reports the options of a section that are required and have no value; `map` is where they should be. */
void schema_require(const struct option_values *values, enum option_section section,
                    const struct yaml_node *map, struct config_errors *errors);

/* Is it a text with a value? If not, that is reported. */
bool schema_is_text(const struct yaml_node *node, struct config_errors *errors);

#endif
