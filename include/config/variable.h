#ifndef CURFEW_CONFIG_VARIABLE_H
#define CURFEW_CONFIG_VARIABLE_H

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "config/arena.h"
#include "config/source.h"

/*
 * Variables of the environment in a value: ${NAME}, or ${NAME:-default}, which is taken if NAME is unset or empty and
 * may hold variables itself. $$ is a dollar, and so is one that no name follows.
 */

/* How long a value may get. */
#define VARIABLE_BYTES_MAX (1 << 20)

/*
 * *out is `text` with its variables put in, terminated, in the arena. ST_OK; ST_BAD: *why says what is wrong; ST_NOMEM.
 * Without variables to look up (`files` or its function is NULL) all are unset.
 */
enum status variable_expand(struct arena *arena, const struct config_files *files, struct span text,
                            struct span *out, struct text *why) MUST_CHECK;

/* What to say of a text in which something looks like a variable, or a file's value, and is none; NULL: nothing. */
const char *variable_odd(struct span text);

#endif
