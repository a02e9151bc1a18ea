#ifndef CURFEW_CALL_TRY_INSPECT_H
#define CURFEW_CALL_TRY_INSPECT_H

#include <stdbool.h>

#include "runtime/tls_transport.h"

struct try;

/* What others ask of a try, and change nothing. Worker's thread. */

/* What has become of TLS on its connection, for people, while there is one. NULL: nothing. */
const char *try_tls_why(const struct try *try, char why[TLS_WHY_MAX]);

/* Does it hold what its state says, and no more? */
bool try_is_sound(const struct try *try) __attribute__((pure));

#endif
