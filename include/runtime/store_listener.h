#ifndef CURFEW_RUNTIME_STORE_LISTENER_H
#define CURFEW_RUNTIME_STORE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/store_greeting.h"

/*
 * A connection that hears what is published on some channels. It follows the master: store_listener_follow says where
 * that is; what goes by itself is made anew after a spread wait. A PING each ten seconds shows that it is alive. The
 * loop's thread.
 */
struct store_listener;

struct store_listener_events {
    void (*heard)(struct store_listener *listener, struct span channel);
    void (*listening)(struct store_listener *listener);
    void (*deaf)(struct store_listener *listener, enum store_fault fault, const char *why);
};

struct store_listener {
    struct store_ground *ground;
    const struct store_listener_events *events;
    struct store_link link;
    struct store_greeting greeting;
    struct timer timer;     /* the next attempt, or the next PING */
    struct span *channels;  /* in one block; NULL: none */
    uint32_t channel_count; /* of which */
    uint32_t confirmed;     /* are listened to */
    bool follows, is_pinged;
    struct store_place place; /* the master's; its texts are here: */
    char text[STORE_HOST_MAX];
    uint32_t failures;
};

enum status store_listener_init(struct store_listener *listener, struct store_ground *ground,
                                const struct store_listener_events *events) MUST_CHECK;
void store_listener_fini(struct store_listener *listener);

/* ST_NOMEM: it goes on as before. The channels are copied. */
enum status store_listener_set(struct store_listener *listener, const struct span *channels,
                               uint32_t count) MUST_CHECK;

/* The master's link has been made anew: here. */
void store_listener_follow(struct store_listener *listener, const struct store_link *master);

#endif
