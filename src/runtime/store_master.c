#include "runtime/store_master.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "core/backoff.h"

#define WAIT_NS     (50 * NS_PER_MS)
#define WAIT_MAX_NS NS_PER_S
/* A connection that has lived for so long was a good one. */
#define GOOD_NS     NS_PER_S
/* What goes wrong in turns, at several places, is told so often at most; what a person has to mend, at once. */
#define TELL_NS     (10 * NS_PER_S)

static void try(struct store_master *master)
{
    const struct store_spec *spec = master->ground->spec;
    int64_t now_ns = loop_now(master->ground->loop);

    PRE(master->node->link.state == STORE_LINK_CLOSED);
    master->node->is_coming = true;
    if (spec->sentinel != NULL)
        store_sentinel_ask(&master->sentinel, now_ns + store_connect_ns(spec));
    else
        store_node_open(master->node, &spec->places[master->place]);
}

static void waited(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    try(CONTAINER_OF(timer, struct store_master, retry));
}

static void wait(struct store_master *master, enum store_fault fault, const char *why)
{
    struct store_ground *ground = master->ground;
    int64_t wait_ns = backoff_draw(WAIT_NS, WAIT_MAX_NS, ++master->failures, store_random(ground));

    master->tried = 0;
    master->node->is_coming = false;
    timer_set(&ground->loop->timers, &master->retry, loop_now(ground->loop) + wait_ns);
    master->events->waits(master, fault, why);
}

static void tell(struct store_master *master, enum store_fault fault, const char *why)
{
    int64_t now_ns = loop_now(master->ground->loop);

    if (master->told_ns != 0 &&
        (master->told == fault || (now_ns < master->told_ns + TELL_NS && fault != STORE_LOCKED)))
        return;
    master->told = fault;
    master->told_ns = now_ns;
    master->events->down(master, fault, why);
}

static void failed(struct store_master *master, enum store_fault fault, const char *why)
{
    const struct store_spec *spec = master->ground->spec;
    bool was_up = master->was_up;

    if (was_up)
        master->told_ns = 0;
    master->was_up = false;
    tell(master, fault, why);
    if (!was_up && spec->sentinel == NULL)
        master->place = (master->place + 1) % spec->place_count;
    if (was_up || ++master->tried >= spec->place_count)
        wait(master, fault, why);
    else
        try(master);
}

/* ---- where the master is ------------------------------------------------------------------------------- */

static void found(struct store_sentinel *sentinel, const struct store_place *place)
{
    struct store_master *master = CONTAINER_OF(sentinel, struct store_master, sentinel);

    store_node_open(master->node, place);
}

static void not_found(struct store_sentinel *sentinel, enum store_fault fault, const char *why)
{
    failed(CONTAINER_OF(sentinel, struct store_master, sentinel), fault, why);
}

/* ---- the node's events --------------------------------------------------------------------------------- */

void store_master_is_up(struct store_master *master)
{
    master->was_up = true;
    master->up_ns = loop_now(master->ground->loop);
    master->tried = 0;
}

/* Errors of connecting begin with the address already. */
static void say_where(const struct store_link *link, char *out, size_t cap)
{
    char block[STORE_HOST_MAX + 16];
    struct text at = text_over(block, sizeof(block));

    store_link_put_place(&at, link);
    if (strncmp(link->why, at.ptr, at.len) == 0 ||
        (link->host[0] != '\0' && strncmp(link->why, link->host, strlen(link->host)) == 0))
        snprintf(out, cap, "%s", link->why);
    else
        snprintf(out, cap, "%.*s: %s", SPAN_FMT(text_span(&at)), link->why);
}

void store_master_has_closed(struct store_master *master)
{
    struct store_link *link = &master->node->link;
    char why[512];

    if (master->was_up && loop_now(master->ground->loop) >= master->up_ns + GOOD_NS)
        master->failures = 0;
    say_where(link, why, sizeof(why));
    failed(master, link->fault, why);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

enum status store_master_init(struct store_master *master, struct store_node *node,
                              const struct store_master_events *events)
{
    struct store_ground *ground = node->cluster->ground;

    *master = (struct store_master){.ground = ground, .node = node, .events = events};
    master->sentinel.found = found;
    master->sentinel.failed = not_found;
    if (store_sentinel_init(&master->sentinel, ground) != ST_OK ||
        timer_init(&ground->loop->timers, &master->retry, waited) != ST_OK)
        return ST_NOMEM;
    node->is_coming = true;
    timer_set(&ground->loop->timers, &master->retry, loop_now(ground->loop));
    return ST_OK;
}

void store_master_fini(struct store_master *master)
{
    store_sentinel_fini(&master->sentinel);
    if (master->retry.fn != NULL)
        timer_fini(&master->ground->loop->timers, &master->retry);
}
