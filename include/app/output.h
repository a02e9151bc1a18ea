#ifndef CURFEW_APP_OUTPUT_H
#define CURFEW_APP_OUTPUT_H

#include <stdbool.h>

/*
 * Has all that a command printed on standard output been written? To be asked at its end: a list that a full disk has
 * cut off is not done. False: that has been said on standard error.
 */
bool output_is_written(void) __attribute__((warn_unused_result));

#endif
