#include "proxy/pulse.h"

#include "proxy/call.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

static void answer(struct broadcast *broadcast, struct worker *pw)
{
    struct pulse *pulse = CONTAINER_OF(broadcast, struct pulse, broadcast);
    unsigned long long in_flight = 0, stuck = 0;

    for (uint32_t i = 0; i < pw->pool_places; i++)
        LIST_FOREACH(node, &pw->calls[i])
            in_flight++;
    LIST_FOREACH(node, &pw->unseen)
        in_flight++;
    for (uint32_t i = 0; i < pw->metrics->route_count; i++)
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            stuck += pw->metrics->routes[i].stuck[phase];
    atomic_fetch_add(&pulse->in_flight, in_flight);
    atomic_fetch_add(&pulse->stuck, stuck);
}

static void all_have_answered(struct broadcast *broadcast)
{
    struct pulse *pulse = CONTAINER_OF(broadcast, struct pulse, broadcast);

    pulse->under_way = false;
    pulse->beat(pulse);
}

enum status pulse_init(struct pulse *pulse, struct proxy *proxy, void (*beat)(struct pulse *pulse))
{
    pulse->under_way = false;
    pulse->beat = beat;
    return broadcast_init(&pulse->broadcast, proxy);
}

void pulse_fini(struct pulse *pulse)
{
    broadcast_fini(&pulse->broadcast);
}

void pulse_ask(struct pulse *pulse)
{
    if (pulse->under_way)
        return;
    pulse->under_way = true;
    atomic_store(&pulse->in_flight, 0);
    atomic_store(&pulse->stuck, 0);
    broadcast_start(&pulse->broadcast, answer, all_have_answered);
}
