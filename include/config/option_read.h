#ifndef CURFEW_CONFIG_OPTION_READ_H
#define CURFEW_CONFIG_OPTION_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "config/options.h"

/*
 * Reads a value: nanoseconds, bytes, a number, 0 or 1, or the place of the word in a choice. "none" gives NS_NEVER
 * and "auto" 0 where these are the default. False: *why says what is wrong and what would be right.
 */
bool option_read(const struct option *option, struct span value, int64_t *out, struct text *why)
    __attribute__((warn_unused_result));

#endif
