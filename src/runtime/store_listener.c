#include "runtime/store_listener.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/backoff.h"
#include "runtime/store_cluster.h"
#include "runtime/store_words.h"

#define WAIT_NS     (50 * NS_PER_MS)
#define WAIT_MAX_NS NS_PER_S
#define PING_NS     (10 * NS_PER_S)
/* Channels of one SUBSCRIBE. */
#define BATCH       64u

static void set_timer(struct store_listener *listener, int64_t in_ns)
{
    struct loop *loop = listener->ground->loop;

    timer_set(&loop->timers, &listener->timer, in_ns == NS_NEVER ? NS_NEVER : loop_now(loop) + in_ns);
}

/* ---- subscribed ---------------------------------------------------------------------------------------- */

static void ping(struct store_listener *listener)
{
    const struct span words[] = {SPAN_LIT("PING")};
    int64_t patience_ns = store_connect_ns(listener->ground->spec);

    if (listener->is_pinged)
        return;
    if (store_link_send(&listener->link, words, 1, NULL) != ST_OK) {
        store_link_break(&listener->link, STORE_SHORTAGE, "not enough memory");
        return;
    }
    listener->is_pinged = true;
    set_timer(listener, patience_ns);
}

static void was_greeted(struct store_greeting *greeting)
{
    struct store_listener *listener = CONTAINER_OF(greeting, struct store_listener, greeting);
    struct span words[BATCH + 1] = {SPAN_LIT("SUBSCRIBE")};

    for (uint32_t done = 0; done < listener->channel_count;) {
        uint32_t count = listener->channel_count - done < BATCH ? listener->channel_count - done : BATCH;

        memcpy(&words[1], &listener->channels[done], count * sizeof(words[0]));
        if (store_link_send(&listener->link, words, count + 1, NULL) != ST_OK) {
            store_link_close(&listener->link, STORE_SHORTAGE, "not enough memory");
            return;
        }
        done += count;
    }
}

static void was_confirmed(struct store_listener *listener)
{
    if (++listener->confirmed != listener->channel_count)
        return;
    store_link_limit(&listener->link, NS_NEVER, STORE_FINE, NULL);
    listener->failures = 0;
    set_timer(listener, PING_NS);
    listener->events->listening(listener);
}

/* What comes to a subscriber, it has not asked for: a list whose first item says what it is. */
static bool has_come(struct store_link *link, const struct store_reply *reply)
{
    struct store_listener *listener = CONTAINER_OF(link, struct store_listener, link);
    struct span kind = store_reply_text(reply, 0);

    if (reply->kind == STORE_ERROR) {
        store_greeting_refused(link, reply);
        return true;
    }
    if (span_eq(kind, SPAN_LIT("message"))) {
        listener->events->heard(listener, store_reply_text(reply, 1));
        return true;
    }
    if (span_eq(kind, SPAN_LIT("subscribe"))) {
        was_confirmed(listener);
        return true;
    }
    if (!span_eq(kind, SPAN_LIT("pong")) || !listener->is_pinged)
        return false;
    listener->is_pinged = false;
    set_timer(listener, PING_NS);
    return true;
}

/* ---- made, and made anew ------------------------------------------------------------------------------- */

static void open_link(struct store_listener *listener)
{
    struct store_ground *ground = listener->ground;

    listener->confirmed = 0;
    listener->is_pinged = false;
    listener->greeting = (struct store_greeting){.done = was_greeted};
    set_timer(listener, NS_NEVER);
    store_link_open(&listener->link, &listener->place);
    store_link_limit(&listener->link, loop_now(ground->loop) + store_connect_ns(ground->spec), STORE_AWAY,
                     "no answer to SUBSCRIBE in time");
}

static void has_opened(struct store_link *link)
{
    store_greet(&CONTAINER_OF(link, struct store_listener, link)->greeting, link);
}

static void has_closed(struct store_link *link)
{
    struct store_listener *listener = CONTAINER_OF(link, struct store_listener, link);

    listener->failures++;
    if (listener->follows && listener->channel_count > 0)
        set_timer(listener,
                  backoff_draw(WAIT_NS, WAIT_MAX_NS, listener->failures, store_random(listener->ground)));
    listener->events->deaf(listener, link->fault, link->why);
}

static void is_due(struct timer *timer, int64_t now_ns)
{
    struct store_listener *listener = CONTAINER_OF(timer, struct store_listener, timer);

    (void)now_ns;
    if (listener->link.state == STORE_LINK_CLOSED)
        open_link(listener);
    else if (listener->is_pinged)
        store_link_close(&listener->link, STORE_LATE, "no answer to PING in time");
    else if (listener->link.state == STORE_LINK_OPEN)
        ping(listener);
}

/* Nobody hears of a link that is closed here. */
static void begin_anew(struct store_listener *listener)
{
    store_link_drop(&listener->link);
    set_timer(listener, listener->follows && listener->channel_count > 0 ? 0 : NS_NEVER);
}

void store_listener_follow(struct store_listener *listener, const struct store_link *master)
{
    bool is_host = master->host[0] != '\0';
    struct store_place place = {is_host ? listener->text : NULL, master->port,
                                is_host ? NULL : listener->text};

    snprintf(listener->text, sizeof(listener->text), "%s", is_host ? master->host : master->path);
    listener->place = place;
    listener->follows = true;
    if (listener->link.state == STORE_LINK_CLOSED || !store_link_is_at(&listener->link, &listener->place))
        begin_anew(listener);
    else if (listener->link.state == STORE_LINK_OPEN && listener->confirmed == listener->channel_count)
        ping(listener);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

enum status store_listener_init(struct store_listener *listener, struct store_ground *ground,
                                const struct store_listener_events *events)
{
    static const struct store_link_events link_events = {has_opened, has_closed, has_come};

    *listener = (struct store_listener){.ground = ground, .events = events};
    if (store_link_init(&listener->link, ground, &link_events) != ST_OK)
        return ST_NOMEM;
    return timer_init(&ground->loop->timers, &listener->timer, is_due);
}

void store_listener_fini(struct store_listener *listener)
{
    store_link_fini(&listener->link);
    if (listener->timer.fn != NULL)
        timer_fini(&listener->ground->loop->timers, &listener->timer);
    mem_free(listener->channels);
}

static bool has_these(const struct store_listener *listener, const struct span *channels, uint32_t count)
{
    bool is_same = listener->channel_count == count;

    for (uint32_t i = 0; is_same && i < count; i++)
        is_same = span_eq(listener->channels[i], channels[i]);
    return is_same;
}

enum status store_listener_set(struct store_listener *listener, const struct span *channels, uint32_t count)
{
    struct span *copy = NULL;

    if (has_these(listener, channels, count))
        return ST_OK;
    if (count > 0)
        copy = store_words_copy(channels, count, NULL, 0);
    if (count > 0 && copy == NULL)
        return ST_NOMEM;
    mem_free(listener->channels);
    listener->channels = copy;
    listener->channel_count = count;
    begin_anew(listener);
    return ST_OK;
}
