#ifndef CURFEW_CORE_STORE_ERROR_H
#define CURFEW_CORE_STORE_ERROR_H

#include <stdint.h>

#include "base/span.h"

/* What an error that a store has answered asks of its client. */
enum store_error {
    STORE_ERROR_OTHER,     /* nothing that could be done at once */
    STORE_ERROR_NO_SCRIPT, /* NOSCRIPT: the script is to be sent whole */
    STORE_ERROR_MOVED,     /* MOVED: another node of the cluster has the key */
    STORE_ERROR_ASK,       /* ASK: another node has it for this once, after ASKING */
    STORE_ERROR_NO_MASTER, /* READONLY, MASTERDOWN: it is the master no more */
    STORE_ERROR_LOCKED,    /* WRONGPASS, NOAUTH, NOPERM, DENIED: a person has to mend it */
};

/*
 * MOVED and ASK: *host and *port are the node's ("MOVED 3999 10.0.0.1:6381"); the host is empty if it is the one that
 * answered. A redirection that can't be read is OTHER.
 */
enum store_error store_error_read(struct span text, struct span *host, uint16_t *port);

#endif
