#ifndef CURFEW_APP_WATCH_H
#define CURFEW_APP_WATCH_H

struct service;

/*
 * What the main thread looks after by the clock: it asks every worker for a sign of life, and only when all have
 * answered is one given to systemd; the next round does not begin before. So a worker whose loop hangs, or a main
 * thread that does, starves the watchdog. With the answers come the figures for the line of status, which is sent, and
 * logged at level debug, when it has changed. Where neither systemd nor the log wants it, nobody is asked.
 */
struct watch;

/* NULL: not enough memory. */
struct watch *watch_new(struct service *service);
/* Of NULL: nothing. */
void watch_free(struct watch *watch);

#endif
