#include "app/explain_place.h"

#include <inttypes.h>
#include <stdio.h>

void explain_place_print(const struct place *place)
{
    if (place)
        printf("%s, %s:%" PRIu32, place->path, place->file, place->line);
    else
        printf("the default");
}
