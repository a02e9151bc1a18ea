#ifndef CURFEW_RUNTIME_DNS_LOOKUP_H
#define CURFEW_RUNTIME_DNS_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "core/name_age.h"
#include "core/name_search.h"
#include "core/timer.h"
#include "runtime/dns_answer.h"
#include "runtime/dns_channels.h"
#include "runtime/dns_system.h"
#include "runtime/mailbox.h"
#include "runtime/loop.h"

/*
 * One lookup of one name: through the sources that nsswitch.conf names, and in DNS through the search list. Nobody
 * needs to wait for it, and it ends by itself, at the latest when all name servers have been silent for some 10 s
 * per name.
 *
 * Addresses of both families are asked for at once. When one has come, the other is waited for 50 ms (RFC 8305
 * section 3); then `changed` runs with what there is, and once more when the lookup is over.
 */
struct dns_lookup;
typedef void (*dns_lookup_fn)(struct dns_lookup *lookup);

/* What a lookup is made with; borrowed. */
struct dns_ground {
    struct loop *loop;
    const struct dns_system *system;
    struct dns_channels *channels;
};

struct dns_lookup {
    struct list_node node; /* the owner's, as the next four: */
    void *owner;
    struct list_node waiters; /* who waits for it, */
    struct timer patience;    /* and until when, where there is an older answer */
    struct name_policy policy;

    const struct dns_ground *ground;
    dns_lookup_fn changed;       /* from the loop */
    struct dns_channel *channel; /* NULL: DNS is not being asked */
    struct name_search search;
    uint32_t step;              /* of nsswitch.conf */
    struct timer delay;         /* what is still missing then has had its time */
    struct mail again;          /* begins anew, from the loop */
    int64_t began_ns, asked_ns; /* the latter: when DNS was last asked for `name` */
    char name[NAME_BYTES];

    struct dns_answer *answer; /* what there is so far: NULL before the first address */
    struct dns_answer *old; /* whose addresses of a family stay if that one can't be looked up; NULL: none */
    int64_t ttl_ns;
    bool is_over;
    /* Of one that is over without an answer. */
    bool is_negative; /* there is no such name, or it has no address */
    bool is_shortage; /* we lacked descriptors or memory */
    const char *why;  /* static text */
    char host[];
};

/* NULL: no memory. `patience` is to be run by `impatient`, which is the owner's. */
struct dns_lookup *dns_lookup_new(const struct dns_ground *ground, const char *host, timer_fn impatient);
/* Whatever it is doing. */
void dns_lookup_free(struct dns_lookup *lookup);

/* ST_OK: it is over already. ST_AGAIN: `changed` will run. */
enum status dns_lookup_start(struct dns_lookup *lookup) MUST_CHECK;
/* The system's configuration is another one: begins anew, from the loop. */
void dns_lookup_restart(struct dns_lookup *lookup);
/* Somebody else needs the answer: if the last question is more than a second old, it is put once more. */
void dns_lookup_urge(struct dns_lookup *lookup);

#endif
