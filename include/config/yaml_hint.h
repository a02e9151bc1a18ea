#ifndef CURFEW_CONFIG_YAML_HINT_H
#define CURFEW_CONFIG_YAML_HINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * What somebody probably meant whose file is no YAML, from the line that libyaml stumbled over and the one before it:
 * its own messages are about tokens.
 */
struct yaml_hint {
    const char *text; /* static; what is wrong and what would be right */
    uint32_t line;    /* from 1 */
    uint32_t column;
};

/* False: no idea. */
bool yaml_hint_find(struct span file, uint32_t line, struct yaml_hint *out);

/* Is the character at this column, from 1, the first of its line that is no blank? */
bool yaml_hint_begins_line(struct span file, uint32_t line, uint32_t column);

/* A problem of libyaml's in a user's words, by its context ("" if it has none) and its place; NULL: none are known. */
const char *yaml_hint_problem(const char *context, const char *problem, bool begins_line);

/* What is wrong with a text that was meant to be a key and its value: "listen:8080", "listen = 8080"; or NULL. */
const char *yaml_hint_line(struct span text);

/* Does the text begin with a key whose colon has no blank behind it, as in "listen:8080"? */
bool yaml_hint_lacks_blank(struct span text);

#endif
