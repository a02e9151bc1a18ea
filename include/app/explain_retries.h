#ifndef CURFEW_APP_EXPLAIN_RETRIES_H
#define CURFEW_APP_EXPLAIN_RETRIES_H

#include "app/explanation.h"

/* How many tries the request may have; nothing, if it has one. To standard output. */
void explain_retries(const struct explanation *explanation);
/* What follows after each kind of failure of a try; likewise. */
void explain_retry_answers(const struct explanation *explanation);

#endif
