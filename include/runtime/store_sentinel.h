#ifndef CURFEW_RUNTIME_STORE_SENTINEL_H
#define CURFEW_RUNTIME_STORE_SENTINEL_H

#include <stdint.h>

#include "runtime/store_link.h"

/*
 * Where the master is, as Sentinels say (SENTINEL get-master-addr-by-name): the spec's places are asked in turn, one
 * for each question. A Sentinel that wants a password gets the store's. The loop's thread.
 */
struct store_sentinel {
    struct store_link link;
    struct store_request question, password;
    uint32_t turn; /* the place that is asked next */
    /* One of them follows each question, from the loop; a new question may be asked. */
    void (*found)(struct store_sentinel *sentinel, const struct store_place *place);
    void (*failed)(struct store_sentinel *sentinel, enum store_fault fault, const char *why);
    bool has_answered, wanted_password;
    char host[STORE_HOST_MAX]; /* the answer */
    uint16_t port;
};

/* ST_NOMEM. `found` and `failed` are set by then. */
enum status store_sentinel_init(struct store_sentinel *sentinel, struct store_ground *ground) MUST_CHECK;
void store_sentinel_fini(struct store_sentinel *sentinel);

/* No question is open. */
void store_sentinel_ask(struct store_sentinel *sentinel, int64_t limit_ns);

#endif
