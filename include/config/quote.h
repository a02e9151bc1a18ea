#ifndef CURFEW_CONFIG_QUOTE_H
#define CURFEW_CONFIG_QUOTE_H

#include "base/span.h"

/* A text in quotes for a message: clipped, and with nothing in it that could steer a terminal. */
struct quoted {
    char text[272];
};
struct quoted quote_text(struct span s);

#endif
