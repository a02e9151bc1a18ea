#ifndef CURFEW_RUNTIME_STORE_CLUSTER_H
#define CURFEW_RUNTIME_STORE_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/store_greeting.h"

/*
 * The connections for commands. The first is the master's, or the cluster's node that is asked first, and is opened by
 * runtime/store_master; the others are of nodes of a cluster that were named by MOVED or ASK, and end with their link.
 * Which node has a key is remembered by its hash tag for as long as the node's link is open. The loop's thread.
 */
#define STORE_NODES  8u
#define STORE_ROUTES 64u

struct store_cluster;

struct store_node {
    struct store_cluster *cluster;
    struct store_link link;
    struct store_greeting greeting;
    struct list_node waiting; /* requests, until it is up */
    bool is_coming;           /* it will be opened, or is */
    bool is_up;               /* it has been greeted: requests may be sent */
    uint64_t number;          /* of its connection, another for each */
};

struct store_cluster_events {
    void (*up)(struct store_node *node);
    void (*closed)(struct store_node *node); /* it, or the attempt, is over; its link says why */
};

struct store_cluster {
    struct store_ground *ground;
    const struct store_cluster_events *events;
    struct store_node nodes[STORE_NODES];
    struct store_route {
        uint64_t tag; /* 0: free */
        struct store_node *node;
    } routes[STORE_ROUTES];
    uint32_t routes_made;
    struct list_node commands; /* all that are under way */
    uint64_t connections;
};

enum status store_cluster_init(struct store_cluster *cluster, struct store_ground *ground,
                               const struct store_cluster_events *events) MUST_CHECK;
void store_cluster_fini(struct store_cluster *cluster);

/* How long it may take to make a connection. */
int64_t store_connect_ns(const struct store_spec *spec) __attribute__((pure));

/* Its link is closed. */
void store_node_open(struct store_node *node, const struct store_place *place);

/* The node at this place, which is opened if need be. NULL: there are too many. */
struct store_node *store_cluster_at(struct store_cluster *cluster, const struct store_place *place);

/* A key's hash tag, as a number that is not 0. */
uint64_t store_tag_of(struct span key) __attribute__((pure));
void store_cluster_learn(struct store_cluster *cluster, uint64_t tag, struct store_node *node);
/* The first one, unless it is known that another one has it. */
struct store_node *store_cluster_find(struct store_cluster *cluster, uint64_t tag);

#endif
