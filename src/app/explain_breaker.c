#include "app/explain_breaker.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"

static void print_statuses(const struct status_set *statuses)
{
    const char *before = "answers of ";

    for (uint32_t code = STATUS_SET_MIN; code < STATUS_SET_END; code++) {
        if (!status_set_has(statuses, code))
            continue;
        printf("%s%" PRIu32, before, code);
        before = ", ";
    }
    printf(" are bad; so are tries that fail, or pass a limit\n");
}

void explain_breaker_print(const struct route_config *route)
{
    const struct breaker_terms *breaker = route->breaker;

    if (breaker == NULL)
        return;
    printf("%-12s%s, opens after %" PRIu32 " bad tries in a row, or %" PRIu32 "%% of at least %" PRIu32
           " in %s\n",
           "breaker", route->has_own_breaker ? "the route's own" : "the upstream's", breaker->failures,
           breaker->ratio_percent, breaker->volume, number_duration_text(breaker->window_ns).text);
    printf("            for %s", number_duration_text(breaker->open_ns).text);
    if (breaker->open_max_ns != breaker->open_ns)
        printf(", twice as long each time that this was not enough, up to %s",
               number_duration_text(breaker->open_max_ns).text);
    printf("; then %" PRIu32 " may see, for %s\n            ", breaker->probes,
           number_duration_text(breaker->verdict_ns).text);
    print_statuses(&breaker->statuses);
    if (route->ceiling_ns != NS_NEVER)
        printf("            observed: it refuses nobody, and counts whom it would have refused\n");
}
