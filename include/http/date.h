#ifndef CURFEW_HTTP_DATE_H
#define CURFEW_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* An instant as HTTP writes it (IMF-fixdate, RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". Pure. */
#define DATE_LEN 29

/* Seconds since 1970; what lies outside of the years 1970 to 9999 is drawn to their ends. */
void date_put(struct text *out, int64_t unix_s);

/*
 * Reads one, in any of the three forms that there have been ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37
 * 1994"). Which weekday it is does not matter; a year of two digits is one of this century or the last, by `now_s`: not
 * more than 50 years from now. False: it is none.
 */
bool date_parse(struct span text, int64_t now_s, int64_t *unix_s) __attribute__((warn_unused_result));

#endif
