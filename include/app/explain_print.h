#ifndef CURFEW_APP_EXPLAIN_PRINT_H
#define CURFEW_APP_EXPLAIN_PRINT_H

#include "app/explanation.h"

/* To standard output. False: out of memory. */
bool explain_print(const struct explanation *explanation);

#endif
