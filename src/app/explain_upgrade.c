#include "app/explain_upgrade.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/explain_place.h"
#include "base/number.h"
#include "base/span.h"

/* With it a line ends. */
static void print_place(const struct place *place)
{
    printf(" (");
    explain_place_print(place);
    printf(")\n");
}

static void print_limit(const char *name, int64_t limit_ns, const struct place *place)
{
    printf("  %-14s%s", name, number_duration_text(limit_ns).text);
    print_place(place);
}

void explain_upgrade_print(const struct route_config *route)
{
    const struct upgrade_config *upgrade = route->upgrade;

    if (upgrade == NULL)
        return;
    printf("%-12s", "upgrade");
    for (uint32_t i = 0; i < upgrade->protocol_count; i++)
        printf("%s%.*s", i == 0 ? "" : ", ", SPAN_FMT(upgrade->protocols[i]));
    printf(": once the API has agreed, bytes go both ways, and in place of the deadline\n");
    print_limit("idle", upgrade->terms.idle_ns, upgrade->idle_at);
    print_limit("lifetime", upgrade->terms.lifetime_ns, upgrade->lifetime_at);
}

void explain_proxy_print(const char *label, const struct proxy_config *proxy, const char *how)
{
    printf("%-12s%s, %s", label, proxy->url, how);
    print_place(proxy->at);
}
