#include "faulty/conn.h"

#define LINGER_US 1000000

void faulty_conn_put(struct faulty_conn *c, const void *bytes, size_t len)
{
    if (evbuffer_add(c->out, bytes, len) != 0)
        c->state = FAULTY_CONN_GONE;
}

void faulty_conn_end(struct faulty_conn *c)
{
    c->ended = true;
}

void faulty_conn_reset(struct faulty_conn *c)
{
    c->reset = true;
    c->state = FAULTY_CONN_GONE;
}

void faulty_conn_tick_every(struct faulty_conn *c, uint64_t period_us)
{
    struct timeval tv = {(time_t)(period_us / 1000000), (suseconds_t)(period_us % 1000000)};

    /* libevent counts from when this turn of the loop began: in a long turn that would be too early. */
    (void)event_base_update_cache_time(c->server->base);
    if (event_add(&c->timer, &tv) != 0)
        c->state = FAULTY_CONN_GONE;
}

void faulty_conn_tick_stop(struct faulty_conn *c)
{
    (void)event_del(&c->timer); /* fails only for an event without a base */
}

void faulty_conn_linger(struct faulty_conn *c)
{
    faulty_transport_end(&c->transport);
    c->state = FAULTY_CONN_LINGER;
    faulty_conn_tick_every(c, LINGER_US);
}
