#ifndef CURFEW_APP_TERMINAL_H
#define CURFEW_APP_TERMINAL_H

#include <stdbool.h>

#include "view/screen.h"

/*
 * The terminal that standard input and output are, through ncurses. Whatever ends the program but SIGKILL, the terminal
 * is as it was before: signals that end it are noted, and terminal_end_by raises them again once it has been closed.
 */

/* What terminal_key returns besides characters and enum top_key (view/top_view.h). */
enum { TERMINAL_NO_KEY = -1, TERMINAL_RESIZED = -2, TERMINAL_GONE = -3 };

/* False: this is no terminal that ncurses knows and can move a cursor on; nothing was changed. */
bool terminal_open(void) __attribute__((warn_unused_result));
/* Idempotent. */
void terminal_close(void);

void terminal_size(int *width, int *height);
void terminal_show(const struct screen *screen);

/* Waits for a key for so many milliseconds. TERMINAL_GONE: there will be none any more, or a signal wants the end. */
int terminal_key(int wait_ms);

/* After terminal_close: ends the program by the signal that wanted it; returns if none did. */
void terminal_end_by_signal(void);

#endif
