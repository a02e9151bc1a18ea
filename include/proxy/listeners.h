#ifndef CURFEW_PROXY_LISTENERS_H
#define CURFEW_PROXY_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/list.h"
#include "config/snapshot.h"

/* A socket that whoever started us has opened and listens on, and that outlives us (systemd's socket activation). */
struct handed_socket {
    int fd;
    const char *name;        /* as it was handed over; an upstream's, or anything else */
    struct endpoint address; /* where it listens; its path is the owner's */
    bool is_taken;
};

/*
 * A listening socket, and whose calls come in by it. One that stays over a reload stays open. Main thread, but where
 * said.
 */
struct listener {
    struct list_node node; /* in proxy.listeners */
    /*
     * Whose calls come in; NULL: nobody's yet, or nobody's any more. Workers read it when they go over to an
     * generation.
     */
    const struct upstream_config *upstream;
    const struct endpoint *address;
    struct endpoint real;                /* where it listens: an IP address with a port that is not 0 */
    const struct upstream_config *next;  /* of the generation that is being made ready, */
    const struct endpoint *next_address; /* likewise */
    struct handed_socket *handed;        /* NULL: a socket of our own */
    int fd;
    bool is_tls;  /* callers speak TLS; read as `upstream` is */
    bool is_told; /* of, in the log */
};

/*
 * Finds a listener for each address that the snapshot's upstreams listen on: the one that is there, one that was
 * handed to us, or a new one. False: no new one is left, nothing has changed, and *why says which can't be opened.
 */
bool listeners_prepare(struct list_node *listeners, const struct snapshot *snapshot,
                       struct handed_socket *handed, size_t handed_count, char *why, size_t why_cap);
/* The plan is given up. */
void listeners_abort(struct list_node *listeners);
/* The plan is in force. Those that have no place in it have no upstream any more, and are open until: */
void listeners_commit(struct list_node *listeners);
/* Closes those without an upstream: no worker takes connections from them any more. */
void listeners_sweep(struct list_node *listeners);
/*
 * A warning for each listener whose place a socket at another address has taken, and where others have been handed
 * over, for each that had to be opened.
 */
void listeners_put_differences(FILE *out, struct list_node *listeners);
/* Closes all. */
void listeners_close(struct list_node *listeners);

#endif
