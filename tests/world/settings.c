/* The configuration of a world, and how its APIs misbehave: drawn by lot. */
#include "config/load.h"
#include "world.h"

/* Half of the time none: sick and healthy APIs side by side. */
static uint32_t some_percent(struct world *world, uint32_t max)
{
    return chance(world, 50) ? 0 : below(world, max + 1);
}

static void put_limit(struct world *world, struct text *yaml, const char *name, uint32_t max_ms)
{
    if (!world->patient && chance(world, 70))
        text_printf(yaml, "%s: %ums, ", name, 1 + below(world, max_ms));
}

/* Tries go to the next upstream, and from the last one nowhere; or there is another one beside one that is silent. */
static void put_more_tries(struct world *world, struct text *yaml, uint32_t number)
{
    if (number + 1 < UPSTREAMS && chance(world, 40))
        text_printf(yaml, ", fallback: u%u", number + 1);
    text_printf(yaml, "}\n");
    if (chance(world, 60))
        text_printf(yaml, "    hedge: true\n");
}

static void put_retries(struct world *world, struct text *yaml, struct world_api *api, uint32_t number)
{
    api->attempts = chance(world, 50) ? 2 + below(world, 4) : 1;
    api->burst = below(world, 20);
    api->share = below(world, 100);
    if (api->attempts == 1)
        return;
    text_printf(
        yaml,
        "    retries: {attempts: %u, when: [connect, dns, tls, reset, junk, timeout, 503], per_try: %s, "
        "backoff: {base: %ums, max: 20ms}, budget: {share: %u%%, burst: %u}, repeat: {content: %uB}",
        api->attempts, chance(world, 50) && !world->patient ? "5ms" : "none", below(world, 20), api->share,
        api->burst, below(world, 3000));
    put_more_tries(world, yaml, number);
}

static void put_breaker(struct world *world, struct text *yaml, struct world_api *api)
{
    api->has_circuit = chance(world, 40);
    if (api->has_circuit)
        text_printf(
            yaml,
            "    breaker: {failures: %u, volume: %u, window: 1s, open: %ums, open_max: 50ms, probes: %u, "
            "verdict: %ums}\n",
            1 + below(world, 6), 5 + below(world, 20), 10 + below(world, 30), 1 + below(world, 3),
            1 + below(world, 30));
}

/* From one that is always there in time to one whose next slot is seconds away; slots of some fall on milliseconds. */
uint32_t world_draw_rate(struct world *world, uint32_t *burst)
{
    static const uint32_t periods_ms[] = {1, 2, 5, 10, 20};

    *burst = 1 + below(world, chance(world, 50) ? 3 : 20);
    if (chance(world, 65))
        return 0;
    if (chance(world, 50))
        return 3600000 / periods_ms[below(world, 5)];
    return !world->patient && chance(world, 15) ? 60 * (5 + below(world, 60))
                                                : 3600 * (20 + below(world, 800));
}

static void put_rate(struct world *world, struct text *yaml, struct world_pool *pool)
{
    uint32_t burst, per_hour = world_draw_rate(world, &burst);

    if (per_hour != 0)
        text_printf(yaml, ", rate: {limit: %u/h, burst: %u}", per_hour, burst);
    pool->starts.pauses_at_503 = chance(world, 50);
    pool->starts.pause_max_ns =
        chance(world, 50) ? 0 : (1 + below(world, chance(world, 10) ? 3000 : 60)) * NS_PER_MS;
    if (pool->starts.pause_max_ns != 0)
        text_printf(yaml, ", pause: {statuses: [429%s], max: %ums}",
                    pool->starts.pauses_at_503 ? ", 503" : "",
                    (unsigned)(pool->starts.pause_max_ns / NS_PER_MS));
}

static void put_upgrade(struct world *world, struct text *yaml, struct world_api *api)
{
    uint32_t day_ms = 24 * 3600 * 1000;
    uint32_t idle_ms = world->patient ? day_ms : 2 + below(world, 30);
    uint32_t life_ms = world->patient ? day_ms : 110 + below(world, 100); /* no shorter than any deadline */

    api->upgrades = !api->speaks_h2 && chance(world, 50);
    api->tunnel_idle_ns = idle_ms * NS_PER_MS;
    api->tunnel_life_ns = life_ms * NS_PER_MS;
    if (api->upgrades)
        text_printf(yaml, "    upgrade: {idle: %ums, lifetime: %ums}\n", idle_ms, life_ms);
}

static void put_upstream(struct world *world, struct text *yaml, uint32_t number)
{
    static const uint32_t pool_of[UPSTREAMS] = {0, 1, 1, 2};
    struct world_api *api = &world->apis[number];
    bool patient = world->patient;

    *api = (struct world_api){.pool = pool_of[number],
                              .stalls = patient ? 0 : some_percent(world, 8),
                              .refuses = some_percent(world, 15),
                              .loses = some_percent(world, 15),
                              .garbles = some_percent(world, 10),
                              .drips = patient ? 0 : some_percent(world, 90),
                              .answers_early = some_percent(world, 20),
                              .closes_idle = some_percent(world, 100),
                              .asks_to_wait = some_percent(world, 15),
                              .callers_leave = some_percent(world, 40),
                              .callers_dawdle = some_percent(world, 30)};
    text_printf(yaml, "  u%u:\n    listen: 127.0.0.1:%u\n    url: http://127.0.0.1:1%u\n    pool: p%u\n",
                number, 9000 + number, number, pool_of[number]);
    api->speaks_h2 = chance(world, 40);
    if (api->speaks_h2)
        text_printf(yaml,
                    "    http2: {use: always, streams: %u, max_calls: %u, window: %uKiB, probe_after: %ums, "
                    "probe_timeout: %ums}\n",
                    chance(world, 40) ? 1 : 2 + below(world, 10),
                    chance(world, 20) ? 5 + below(world, 50) : 900, chance(world, 50) ? 64 : 256,
                    1 + below(world, 100), 1 + below(world, 20));
    text_printf(yaml, "    deadline: %s\n", patient ? "24h" : "");
    if (!patient) {
        yaml->len--;
        text_printf(yaml, "%ums\n", 5 + below(world, 100));
        if (chance(world, 40))
            text_printf(yaml, "    observe: true\n    observe_ceiling: %ums\n", 10 + below(world, 200));
    }
    put_retries(world, yaml, api, number);
    put_breaker(world, yaml, api);
    put_upgrade(world, yaml, api);
    text_printf(yaml, "    caller_deadline: {headers: [X-T]}\n    timeouts: {");
    put_limit(world, yaml, "connect", 15);
    put_limit(world, yaml, "first_byte", 15);
    put_limit(world, yaml, "idle", 8);
    text_printf(yaml, "begin: none}\n    keepalive: {max_idle: %u, idle_timeout: %ums, max_age: %ums}\n",
                below(world, 6), 1 + below(world, 50), 1 + below(world, 200));
}

static void put_config(struct world *world, struct text *yaml)
{
    text_printf(
        yaml,
        "admin: {listen: 127.0.0.1:1}\nlimits: {request_head_timeout: %s, idle_timeout: 100ms}\npools:\n",
        world->patient ? "24h" : "50ms");
    for (uint32_t i = 0; i < POOLS; i++) {
        world->pools[i].size = world->pools[i].allowed = 1 + below(world, 12);
        world->pools[i].queue_size = below(world, 30);
        text_printf(yaml, "  p%u: {size: %u, queue: %u", i, world->pools[i].size, world->pools[i].queue_size);
        if (!world->patient && chance(world, 70))
            text_printf(yaml, ", queue_timeout: %ums", 1 + below(world, 20));
        world->pools[i].lingers = chance(world, 40);
        if (world->pools[i].lingers)
            text_printf(yaml, ", linger: %ums", 1 + below(world, 50));
        put_rate(world, yaml, &world->pools[i]);
        text_printf(yaml, "}\n");
    }
    text_printf(yaml, "upstreams:\n");
    for (uint32_t i = 0; i < UPSTREAMS; i++)
        put_upstream(world, yaml, i);
}

static char *read_no_file(void *arg, const char *path, size_t *len, const char **why)
{
    (void)arg;
    (void)path;
    (void)len;
    *why = "there are no files";
    return NULL;
}

void world_configure(struct world *world)
{
    static const struct config_files files = {.read = read_no_file};
    static struct config_errors errors;
    char block[8192];
    struct text yaml = text_over(block, sizeof(block));

    put_config(world, &yaml);
    if (yaml.overflow || config_load(text_span(&yaml), &files, &world->snapshot, &errors) != ST_OK)
        world_broken(world, errors.list[0].text, __FILE__, __LINE__);
    CHECK(world, numbering_take(&world->numbering, world->snapshot) == ST_OK);
    for (uint32_t i = 0; i < UPSTREAMS; i++) {
        world->snapshot->upstreams[i].retry_tokens = &world->apis[i].tokens;
        retry_tokens_init(&world->apis[i].tokens, world->apis[i].burst, world->apis[i].share);
    }
}
