#ifndef CURFEW_APP_SYSTEMD_H
#define CURFEW_APP_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/list.h"
#include "base/status.h"
#include "config/snapshot.h"
#include "proxy/listeners.h"
#include "runtime/listen.h"

/*
 * What systemd is told (sd_notify(3)) and what it hands over (sd_listen_fds(3)). Without it nothing is said and nothing
 * is there. Main thread.
 */

/* Ready, at the start and after a reload. */
void systemd_ready(void);
void systemd_reloading(void);
/* From now on, until `for_ns` have passed, the end may take its time. */
void systemd_stopping(int64_t for_ns);
/* The stop is still going on: it may take `for_ns` more. */
void systemd_extend(int64_t for_ns);
/* One line about what it is doing. */
void systemd_status(const char *text);
/* A sign of life. */
void systemd_alive(void);
/* How long may pass between two signs of life; 0: nobody waits for them. */
int64_t systemd_watchdog_ns(void);

/* The listening sockets that were handed over. */
struct systemd_sockets {
    struct handed_socket *list;
    const struct handed_socket *admin, *metrics; /* of them, the admin listeners'; NULL: none is */
    char (*paths)[LISTEN_PATH_MAX];
    char **names;
    size_t count;
};

/* False: *why says which is of no use. Takes them from the environment, so that it can be done once. */
bool systemd_take_sockets(struct systemd_sockets *sockets, char *why, size_t why_cap);
/*
 * Those at addresses of the admin's, or named "admin" and "metrics", if no upstream is called so or is there: they are
 * `admin` and `metrics` then.
 */
void systemd_take_admin(struct systemd_sockets *sockets, const struct snapshot *snapshot);
/* Have all found their place? False: *why names one that has not, and what it was meant for, as far as that shows. */
bool systemd_all_taken(const struct systemd_sockets *sockets, const struct snapshot *snapshot, char *why,
                       size_t why_cap);
/*
 * A warning for each that nobody listens on any more, after a reload: who calls there waits, until it is closed.
 * And one for each `listen` that is not where its socket is, or that has none while others have.
 */
void systemd_put_differences(FILE *out, const struct systemd_sockets *sockets,
                             const struct snapshot *snapshot, struct list_node *listeners);
/* Closes them. */
void systemd_free_sockets(struct systemd_sockets *sockets);

#endif
