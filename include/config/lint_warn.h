#ifndef CURFEW_CONFIG_LINT_WARN_H
#define CURFEW_CONFIG_LINT_WARN_H

#include "base/number.h"
#include "config/errors.h"
#include "config/place.h"

/* How the lints of the configuration say what they found; within config/lint*.c. */

/* " (line 7)", or nothing for a built-in default. */
struct number_text lint_line(const struct place *place);

/* Of a built-in default there is no place: `path` says what it is, at the top of the file. Too long a text is cut. */
__attribute__((format(printf, 4, 5))) void lint_warn(struct config_errors *out, const struct place *place,
                                                     const char *path, const char *format, ...);

#endif
