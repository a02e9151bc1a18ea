#ifndef CURFEW_APP_WATCH_H
#define CURFEW_APP_WATCH_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "proxy/heartbeat.h"

struct service;

/*
 * What the main thread looks after by the clock: it asks every worker for a sign of life, and only when all have
 * answered is one given to systemd; the next round does not begin before. So a worker whose loop hangs, or a main
 * thread that does, starves the watchdog. With the answers come the figures for the line of status, which is sent, and
 * logged at level debug, when it has changed. Where neither systemd nor the log wants it, nobody is asked.
 */
struct watch {
    struct service *service;
    struct event *tick;
    struct heartbeat_listener listener;
    bool feeds; /* the watchdog */
    bool tells_systemd;
    char status[128]; /* as last sent */
};

enum status watch_init(struct watch *watch, struct service *service) MUST_CHECK;
void watch_fini(struct watch *watch);

#endif
