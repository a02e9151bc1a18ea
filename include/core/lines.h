#ifndef CURFEW_CORE_LINES_H
#define CURFEW_CORE_LINES_H

#include <stdbool.h>

#include "base/span.h"

/* Files such as /etc/hosts: lines of words with blanks between them; what follows one of `comment` is none of it. */

/* Takes the next line off *rest, without its comment. False when none is left. */
bool lines_next(struct span *rest, const char *comment, struct span *line);
/* Takes the next word off *line. False when none is left. */
bool lines_next_word(struct span *line, struct span *word);

#endif
