#ifndef CURFEW_RUNTIME_JOURNAL_H
#define CURFEW_RUNTIME_JOURNAL_H

#include <stdbool.h>

/*
 * Is standard error the journal (sd-daemon(3), JOURNAL_STREAM)? A line then begins with its priority, "<3>", which the
 * journal takes off, instead of with the program's name and a word for it.
 */

/* As in syslog(3). */
#define JOURNAL_CRITICAL "<2>"
#define JOURNAL_ERROR    "<3>"
#define JOURNAL_WARNING  "<4>"
#define JOURNAL_INFO     "<6>"
#define JOURNAL_DEBUG    "<7>"

/* Looks, before there are threads. */
void journal_look(void);

/* What journal_look saw; false before. Any thread, and signal handlers. */
bool journal_is_stderr(void);

#endif
