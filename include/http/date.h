#ifndef CURFEW_HTTP_DATE_H
#define CURFEW_HTTP_DATE_H

#include <stdint.h>

#include "base/text.h"

/* An instant as HTTP writes it (IMF-fixdate, RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". Pure. */
#define DATE_LEN 29

/* Seconds since 1970; what lies outside of the years 1970 to 9999 is drawn to their ends. */
void date_put(struct text *out, int64_t unix_s);

#endif
