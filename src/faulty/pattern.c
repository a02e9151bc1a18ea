#include "faulty/pattern.h"

#include <stddef.h>

/* Long enough that content of any size is sent in few, large pieces. */
#define PATTERN_BYTES (FAULTY_PATTERN_PERIOD * 1024)

struct span faulty_pattern(uint64_t offset, uint64_t max)
{
    static char block[PATTERN_BYTES];
    static const char period[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy";
    size_t from = (size_t)(offset % FAULTY_PATTERN_PERIOD);

    _Static_assert(sizeof(period) - 1 == FAULTY_PATTERN_PERIOD, "the pattern has its period");
    if (block[0] == '\0')
        for (size_t i = 0; i < PATTERN_BYTES; i++)
            block[i] = period[i % FAULTY_PATTERN_PERIOD];
    return (struct span){block + from, max < PATTERN_BYTES - from ? (size_t)max : PATTERN_BYTES - from};
}
