#ifndef CURFEW_APP_SERVICE_H
#define CURFEW_APP_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>

#include "admin/admin.h"
#include "app/config_file.h"
#include "app/event_log.h"
#include "app/systemd.h"
#include "base/list.h"
#include "proxy/proxy.h"
#include "core/timer.h"
#include "runtime/loop.h"

#define SERVICE_SIGNALS 4

struct file_watch;
struct watch;

/* What lives between the start of `curfew serve` and its end; the main thread's. */
struct service {
    const char *config_path;
    struct config_file *config; /* as it was last read, sound or not */
    struct event_log log;
    struct systemd_sockets sockets;
    struct watch *watch;
    struct loop loop;
    bool has_loop;
    struct proxy *proxy;
    struct admin_ground admin_ground;
    struct admin *admin;
    bool admin_is_told; /* of, in the log */
    struct event *signals[SERVICE_SIGNALS];
    struct timer delay_is_over, drain_is_over; /* the time for them */
    bool draining, delaying;                   /* a signal has come; and drain_delay is not over */
    bool hasty;  /* the end comes when those are refused who wait for a permit */
    bool ending; /* calls in flight are not waited for */

    /* reloads (app/reload.c) */
    struct list_node asking; /* who waits for the one under way to end, */
    struct list_node next;   /* and for the one after it */
    bool reloading, reload_again;
    struct file_watch *file_watch; /* asks for one when a file changes */
};

/* A line at level debug: how much the configuration in force has of what. */
void service_say_what(struct service *service);

/* A line for each listener of which none was written yet. */
void service_say_where(struct service *service);

#endif
