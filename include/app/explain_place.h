#ifndef CURFEW_APP_EXPLAIN_PLACE_H
#define CURFEW_APP_EXPLAIN_PLACE_H

#include "config/place.h"

/* "upstreams.payments.deadline, curfew.yaml:7"; NULL: "the default". To standard output. */
void explain_place_print(const struct place *place);

#endif
