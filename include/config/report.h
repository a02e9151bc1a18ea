#ifndef CURFEW_CONFIG_REPORT_H
#define CURFEW_CONFIG_REPORT_H

#include <stdint.h>

#include "config/errors.h"
#include "config/place.h"
#include "config/source.h"
#include "config/yaml_node.h"

/*
 * Adding to the list of what is wrong in a file. It is kept in the order of the file, and what is found twice (a
 * default that several upstreams inherit) is kept once.
 */

/* Something wrong at a place that has no key. */
void report_at(struct config_errors *errors, const struct config_source *source, uint32_t line,
               uint32_t column, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Something wrong with what stands at a place of a snapshot. */
void report_place(struct config_errors *errors, const struct place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A wrong value; the node's path is put before the text. An empty value's place is its key's. */
void report_value(struct config_errors *errors, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A value that is only odd: likewise, to errors->warnings. */
void report_odd(struct config_errors *errors, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A wrong key: likewise, at the key. */
void report_key(struct config_errors *errors, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A key that `map` should have and has not: at the map's own key. */
void report_missing(struct config_errors *errors, const struct yaml_node *map, const char *key);

/* "line 7", or "line 7 of upstreams.yaml" if `other` stands in another file than `node`. */
struct line_text {
    char text[80];
};
struct line_text report_line(const struct yaml_node *node, const struct yaml_node *other);

#endif
