#ifndef CURFEW_APP_EXPLAIN_POOL_H
#define CURFEW_APP_EXPLAIN_POOL_H

#include "app/explanation.h"

/* The pool that the call needs a permit of, and who waits how in front of it. To standard output. */
void explain_pool_print(const struct explanation *explanation);

#endif
