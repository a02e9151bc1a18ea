#ifndef CURFEW_VIEW_FORMAT_H
#define CURFEW_VIEW_FORMAT_H

#include <stdint.h>

#include "base/text.h"

/*
 * A name in a column of so many bytes. Of one that is longer, the middle is left out, with a "~" in its place:
 * names that begin alike differ at the end.
 */
void format_put_name(struct text *out, const char *name, int width);

/* Figures for people, short and of bounded width: at most 7 bytes each. */

/* "950ms", "1.2s", "59s", "3m05s", "2h03m", "9d04h"; below 0 with its sign: "-1.2s". */
void format_put_time(struct text *out, int64_t ms);

/* Seconds: "80us", "2.5ms", "1.2s", "16m40s"; NaN: "-"; infinite: ">60s" with `most` of 60. At most 6 bytes. */
void format_put_seconds(struct text *out, double seconds, double most);

/* "999", "1.2k", "45k", "3.4M", "12G". */
void format_put_count(struct text *out, uint64_t count);

/* A rate: "0", "0.4", "12", "1.2k". */
void format_put_rate(struct text *out, double per_second);

#endif
