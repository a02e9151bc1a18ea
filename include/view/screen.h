#ifndef CURFEW_VIEW_SCREEN_H
#define CURFEW_VIEW_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

/*
 * A page of characters, each with a style; whoever shows it knows what a style looks like. What does not fit is cut
 * off.
 */
enum style {
    STYLE_PLAIN,
    STYLE_TITLE,
    STYLE_HEAD,
    STYLE_DIM,
    STYLE_GOOD,
    STYLE_WARN,
    STYLE_ALERT,
    STYLE_SELECTED,
    STYLE_COUNT
};

struct screen_cell {
    char c; /* printable ASCII */
    uint8_t style;
};

struct screen {
    int width, height;
    struct screen_cell *cells; /* row by row */
};

/* Blank. ST_NOMEM: there is none. */
enum status screen_init(struct screen *screen, int width, int height) MUST_CHECK;
void screen_fini(struct screen *screen);

/*
 * Writes from column x on; a byte that can't be shown becomes "?". Returns the column behind it, though that be cut
 * off.
 */
int screen_put(struct screen *screen, int x, int y, enum style style, struct span text);
int screen_printf(struct screen *screen, int x, int y, enum style style, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The rest of the row gets this style, whatever stands there. */
void screen_style_row(struct screen *screen, int y, enum style style);

/* A row without the blanks at its end: its bytes go to `out`, which has room for `width`. Returns their number. */
int screen_row(const struct screen *screen, int y, char *out);

#endif
