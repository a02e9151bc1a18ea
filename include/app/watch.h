#ifndef CURFEW_APP_WATCH_H
#define CURFEW_APP_WATCH_H

#include <stdint.h>

struct service;

/*
 * What the main thread does at each heartbeat: it gives systemd a sign of life. So a worker whose loop hangs, or a main
 * thread that does, starves the watchdog. With the heartbeat come the figures for the line of status, which is sent,
 * and logged at level debug, when it has changed. Where neither systemd nor the log wants it, it does not listen.
 */
struct watch;

/* How often the heart must beat: twice within what the watchdog lets pass, and no less often than every second. */
int64_t watch_rhythm_ns(void);

/* NULL: not enough memory. */
struct watch *watch_new(struct service *service);
/* After a reload: log.level may have changed. */
void watch_renew(struct watch *watch);
/* Of NULL: nothing. */
void watch_free(struct watch *watch);

#endif
