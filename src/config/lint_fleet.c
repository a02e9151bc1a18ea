#include "config/lint_fleet.h"

#include <inttypes.h>
#include <string.h>

#include "base/endpoint.h"
#include "config/fleet_terms.h"
#include "config/lint_warn.h"
#include "config/quote.h"
#include "config/report.h"

#define KEPT_LONG_NS     (120 * NS_PER_S)
#define RENEWALS_TO_MISS 3

static void check_share(const struct snapshot *snapshot, const struct pool_config *pool,
                        struct config_errors *out)
{
    const struct fleet_config *fleet = &snapshot->fleet;

    if (fleet->fallback != FLEET_SHARE || fleet->hosts == 0 || pool->size / fleet->hosts != 0)
        return;
    lint_warn(
        out, pool->size_at, "size",
        "%" PRIu32 " over %" PRIu32
        " hosts leave none for each: when the store is away for longer than ride_out, nothing starts, as with "
        "fallback: closed; fewer hosts, or a larger size, is right",
        pool->size, fleet->hosts);
}

static void check_lease(const struct snapshot *snapshot, const struct pool_config *pool,
                        struct config_errors *out)
{
    struct block_terms terms = fleet_terms(snapshot, pool);
    int64_t kept_ns = terms.lease_ns + snapshot->fleet.margin_ns;

    if (kept_ns <= KEPT_LONG_NS)
        return;
    lint_warn(
        out, pool->fleet_at, "",
        "a host that dies keeps its block for %s: calls of this pool may take %s; a shorter deadline, or a pool "
        "of its own for what takes long, is right",
        number_duration_text(kept_ns / NS_PER_S * NS_PER_S).text,
        number_duration_text(terms.longest_ns).text);
}

static void check_sizes(const struct snapshot *snapshot, uint32_t i, struct config_errors *out)
{
    const struct pool_config *pool = &snapshot->pools[i];

    for (uint32_t k = 0; k < i; k++) {
        const struct pool_config *other = &snapshot->pools[k];

        if (!other->fleet || strcmp(other->fleet, pool->fleet) != 0 || other->size == pool->size)
            continue;
        lint_warn(out, pool->size_at, "size",
                  "%" PRIu32 " differs from that of another pool with the name %s in the fleet, %" PRIu32
                  "%s: the smaller one holds; one size is right",
                  pool->size, pool->fleet, other->size, lint_line(other->size_at).text);
        return;
    }
}

static bool is_near(const struct store_place *place)
{
    struct endpoint address;

    if (!place->host || strcasecmp(place->host, "localhost") == 0)
        return true;
    return endpoint_parse_ip(span_of(place->host), &address) && endpoint_is_local(&address);
}

static void check_store(const struct fleet_config *fleet, struct config_errors *out)
{
    for (uint32_t i = 0; !fleet->store.has_tls && i < fleet->store.place_count; i++) {
        if (is_near(&fleet->store.places[i]))
            continue;
        lint_warn(
            out, fleet->store_at, "",
            "%s is reached without TLS: who is on the way can lift the cap, and read the password; rediss:// is right",
            quote_text(span_of(fleet->store.places[i].host)).text);
        return;
    }
}

static void check_ride_out(const struct fleet_config *fleet, struct config_errors *out)
{
    if (fleet->ride_out_ns >= RENEWALS_TO_MISS * fleet->renew_ns)
        return;
    lint_warn(
        out, fleet->ride_out_at, "fleet.ride_out",
        "%s is less than three times renew, %s: a request that is lost may bring on the fallback; at least %s is right",
        number_duration_text(fleet->ride_out_ns).text, number_duration_text(fleet->renew_ns).text,
        number_duration_text(RENEWALS_TO_MISS * fleet->renew_ns).text);
}

static void check_fleet_only(const struct pool_config *pool, struct config_errors *out)
{
    if (pool->fleet_only)
        lint_warn(out, pool->fleet_only_at, pool->fleet_only,
                  "has no effect: only a pool with fleet: true is lent permits");
}

static void check_reserve(const struct pool_config *pool, struct config_errors *out)
{
    if (pool->reserve > pool->host_size)
        lint_warn(out, pool->reserve_at, "reserve",
                  "%" PRIu32 " permits are kept for this host, which may use %" PRIu32
                  " (host_size): the others are nobody's; at most %" PRIu32 " is right",
                  pool->reserve, pool->host_size, pool->host_size);
}

void lint_fleet(const struct snapshot *snapshot, struct config_errors *out)
{
    const struct fleet_config *fleet = &snapshot->fleet;
    uint32_t pools = 0;

    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        check_fleet_only(&snapshot->pools[i], out);
    if (!fleet->enabled)
        return;
    check_store(fleet, out);
    check_ride_out(fleet, out);
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *pool = &snapshot->pools[i];

        if (!pool->fleet)
            continue;
        pools++;
        check_share(snapshot, pool, out);
        check_lease(snapshot, pool, out);
        check_sizes(snapshot, i, out);
        check_reserve(pool, out);
    }
    if (pools == 0)
        lint_warn(out, fleet->at, "",
                  "no pool has fleet: true, so that nothing is shared; one that has is right");
}
