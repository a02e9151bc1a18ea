#ifndef CURFEW_TESTS_WORLD_NET_H
#define CURFEW_TESTS_WORLD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "runtime/transport.h"

/*
 * A network without sockets: what runtime/transport, runtime/connect and runtime/tcp are to the code above them, with
 * descriptors that are places in a table. The other end of each is the world's: it puts in bytes, takes out what was
 * written, ends, resets, and says how much room there is; net.c does what the kernel would make of that, edges
 * included. Nothing here draws lots or knows the time.
 */
#define NET_FD_BASE 100000

struct net_end {
    int fd;
    struct transport *transport; /* NULL: curfew has closed it */
    struct loop *loop;
    void *peer;        /* the world's, */
    bool is_peer_open; /* which has not let go of it yet */
    char *in;          /* on its way to curfew, */
    size_t in_len, in_cap;
    uint64_t taken; /* bytes, by curfew */
    char *out;      /* written by curfew, not yet taken out */
    size_t out_len, out_cap;
    size_t room;                     /* for bytes that curfew writes */
    bool peer_ended;                 /* its side: reads come to an end */
    bool was_reset;                  /* by the peer, or it has closed altogether */
    bool we_ended;                   /* curfew has ended its side, */
    bool we_closed;                  /* or closed, */
    bool we_reset;                   /* by a reset */
    bool readable, writable, closed; /* events that are due */
};

/* A connection that is being made. The world says how it goes on. */
struct net_dial {
    struct list_node node;   /* in net.dials */
    struct connect *connect; /* NULL: given up */
    void *script;            /* the world's */
};

struct net {
    struct net_end **ends;  /* by fd - NET_FD_BASE; NULL: free */
    size_t end_count, open; /* open: those that curfew has */
    struct list_node dials;
    /* Called by connect_start. False: no memory. */
    bool (*dialled)(struct net_dial *dial);
    void (*given_up)(struct net_dial *dial);
};

/* The one that runtime's functions are about. */
extern struct net net;

void net_init(void);
void net_fini(void);

/* A connection, for curfew to open a transport on its fd. */
struct net_end *net_end_new(struct loop *loop, void *peer);
/* The peer has closed its end too. */
void net_end_leave(struct net_end *end);

/* The peer's: each makes the events due that it would. */
void net_send(struct net_end *end, const char *bytes, size_t len);
void net_end_side(struct net_end *end);
void net_reset(struct net_end *end);
void net_make_room(struct net_end *end, size_t room);
/* Takes out what was written. */
void net_take(struct net_end *end, size_t len);

/* Does any event wait for the loop? */
bool net_is_due(const struct net_end *end);
/* Raises what is due. */
void net_raise(struct net_end *end);

/* The connection is made: curfew has it. */
struct net_end *net_connected(struct net_dial *dial, void *peer);

#endif
