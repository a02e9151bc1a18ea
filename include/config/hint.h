#ifndef CURFEW_CONFIG_HINT_H
#define CURFEW_CONFIG_HINT_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"
#include "config/options.h"
#include "config/yaml_node.h"

/* What people write who come from another program, or from memory: what they probably mean. */

/* Of a key that its section does not have: what would be right, put into `out`; false: no idea. */
bool hint_key(enum option_section section, const struct yaml_node *member, struct text *out);

/* Of a value that its option does not take: the value that is meant, put into `out`; false: no idea. */
bool hint_value(enum option_type type, struct span value, struct text *out);

/* Of a text or a list where the option takes something else: what would be right; NULL: no idea. */
const char *hint_shape(const struct option *option, const struct yaml_node *node);

/*
 * Bytes of a route's path before the segment that is written as a pattern ("*", "{id}", ":id"), as other programs have
 * it; path.len: there is none.
 */
size_t hint_pattern(struct span path);

#endif
