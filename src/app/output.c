#include "app/output.h"

#include <stdio.h>

bool output_is_written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    fprintf(stderr, "curfew: what was printed could not be written to standard output\n");
    return false;
}
