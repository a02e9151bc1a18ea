#ifndef CURFEW_PROXY_DOORSTEP_H
#define CURFEW_PROXY_DOORSTEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/list.h"
#include "config/snapshot.h"

/* A socket that whoever started us has opened and listens on, and that outlives us (systemd's socket activation). */
struct handed_socket {
    int fd;
    const char *name;       /* as it was handed over; an upstream's, or anything else */
    struct address address; /* where it listens; its path is the owner's */
    bool is_taken;
};

/*
 * A listening socket, and whose calls come in by it. One that stays over a reload stays open. Main thread, but where
 * said.
 */
struct doorstep {
    struct list_node node; /* in proxy.doorsteps */
    /*
     * Whose calls come in; NULL: nobody's yet, or nobody's any more. Workers read it when they go over to an edition.
     */
    const struct upstream_config *upstream;
    const struct address *address;
    struct address real;                /* where it listens: an IP address with a port that is not 0 */
    const struct upstream_config *next; /* of the edition that is being made ready, */
    const struct address *next_address; /* likewise */
    struct handed_socket *handed;       /* NULL: a socket of our own */
    int fd;
    bool is_told; /* of, in the log */
};

/*
 * Finds a doorstep for each address that the snapshot's upstreams listen on: the one that is there, one that was handed
 * to us, or a new one. False: no new one is left, nothing has changed, and *why says which can't be opened.
 */
bool doorsteps_plan(struct list_node *doorsteps, const struct snapshot *snapshot,
                    struct handed_socket *handed, size_t handed_count, char *why, size_t why_cap);
/* The plan is given up. */
void doorsteps_forget_plan(struct list_node *doorsteps);
/* The plan is in force. Those that have no place in it have no upstream any more, and are open until: */
void doorsteps_commit(struct list_node *doorsteps);
/* Closes those without an upstream: no worker takes connections from them any more. */
void doorsteps_sweep(struct list_node *doorsteps);
/*
 * A warning for each listener whose place a socket at another address has taken, and where others have been handed
 * over, for each that had to be opened.
 */
void doorsteps_put_differences(FILE *out, struct list_node *doorsteps);
/* Closes all. */
void doorsteps_close(struct list_node *doorsteps);

#endif
