#ifndef CURFEW_PROXY_FLEET_IDENTITY_H
#define CURFEW_PROXY_FLEET_IDENTITY_H

#include "base/status.h"

/*
 * Who this curfew is to a fleet's store: 128 random bits. Where there is a state directory (systemd's
 * $STATE_DIRECTORY), they lie in its file fleet.id, locked while the process lives: whoever gets the lock knows
 * that the one before is dead, and takes over who it was, so that what it had been lent is of use at once.
 */
#define FLEET_IDENTITY_LEN 32u

struct fleet_identity {
    char text[FLEET_IDENTITY_LEN + 1];
    int fd; /* of the locked file; -1: there is none */
};

/* ST_FAILED: the kernel gives no random bits. */
enum status fleet_identity_init(struct fleet_identity *identity) MUST_CHECK;
/* Another one, as if there had been no file. */
enum status fleet_identity_renew(struct fleet_identity *identity) MUST_CHECK;
void fleet_identity_fini(struct fleet_identity *identity);

#endif
