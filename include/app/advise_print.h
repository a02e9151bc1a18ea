#ifndef CURFEW_APP_ADVISE_PRINT_H
#define CURFEW_APP_ADVISE_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "view/durations.h"

#define ADVISE_RATES_MAX 8

/* What there is to give advice on. */
struct advise_question {
    const struct durations *durations;
    const char *upstream; /* NULL: all */
    const uint64_t *rates_ppm;
    uint32_t rate_count; /* 1 to ADVISE_RATES_MAX */
};

/* Is the route one of those asked for? Is the pool one that such a route uses? */
bool advise_wants_route(const struct advise_question *question, const struct duration_route *route);
bool advise_wants_pool(const struct advise_question *question, const struct duration_pool *pool);

/* The smallest of the rates. */
uint64_t advise_strictest(const struct advise_question *question);

/* To standard output: for people, or as JSON. */
void advise_print(const struct advise_question *question);
void advise_print_json(const struct advise_question *question);

#endif
