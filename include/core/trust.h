#ifndef CURFEW_CORE_TRUST_H
#define CURFEW_CORE_TRUST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which kept connections can be trusted after one of them has been silent.
 *
 * A NAT gateway or a firewall that forgets connections forgets all of them at once, while new ones would work. The call
 * that meets such a connection waits until its deadline; that can't be helped, for an API that thinks looks the same.
 * But it must not happen once for each connection that was kept. What has been idle since before that call's request
 * was sent is suspect if not even the peer's kernel has acknowledged the request, or the connection turned out to be
 * dead. A suspect is sent a probe that costs no call (a TCP keepalive probe, which the peer's kernel acknowledges by
 * itself), and until that is answered it is not used; one that does not answer in time is closed.
 *
 *   SURE ----- a request sent on another at `since` was lost ----> UNASKED ---- probe sent ----> ASKED
 *     ^                                                                                            |
 *     +------ the probe was acknowledged: alive since the probe was sent <-------------------------+--> closed
 *
 * A kernel's word is not a response. Behind a load balancer whose kernel acknowledges what nobody answers, each
 * connection would pass, and still cost a call. So if a request was acknowledged and got no byte, nothing is suspect
 * yet: mostly the API is slow. But when another, sent after that was known, is silent too, on a connection that has
 * given no response in between, or has been cleared by a probe alone, then all that were idle beside it are LOST, and
 * closed.
 *
 * Pure; times are absolute.
 */

/* Of all connections that are kept together. Zero: no doubt. */
struct doubt {
    int64_t since_ns;   /* suspect is what was last known alive then or before */
    int64_t lost_ns;    /* likewise, and no probe clears it; never behind since_ns */
    int64_t slow_ns;    /* a request sent then was acknowledged, and got no byte; */
    int64_t noticed_ns; /* that was known then */
};

/* Of one connection. */
struct proof {
    int64_t alive_ns;  /* when it was last known to be alive */
    int64_t probed_ns; /* a probe was sent then, and its answer has not been noticed; 0: none */
    bool is_kernels;   /* the latest proof is an acknowledgement, not a response */
};

enum trust { TRUST_SURE, TRUST_UNASKED, TRUST_ASKED, TRUST_LOST };

static inline enum trust trust_of(const struct doubt *doubt, const struct proof *proof)
{
    if (proof->alive_ns > doubt->since_ns)
        return TRUST_SURE;
    if (proof->alive_ns <= doubt->lost_ns)
        return TRUST_LOST;
    return proof->probed_ns == 0 ? TRUST_UNASKED : TRUST_ASKED;
}

/*
 * A request that was sent at `sent_ns` on a connection of that proof has got no byte of a response until now.
 * `acknowledged`: the peer's kernel has it, and the connection is not known to be dead.
 */
void trust_doubt(struct doubt *doubt, const struct proof *silent, int64_t sent_ns, int64_t now_ns,
                 bool acknowledged);

/* The connection has given a response. */
static inline void trust_responded(struct proof *proof, int64_t now_ns)
{
    *proof = (struct proof){.alive_ns = now_ns};
}

void trust_probed(struct proof *proof, int64_t now_ns);
/* Its latest probe was acknowledged. */
void trust_acknowledged(struct proof *proof);

#endif
