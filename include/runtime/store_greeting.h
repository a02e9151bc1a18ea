#ifndef CURFEW_RUNTIME_STORE_GREETING_H
#define CURFEW_RUNTIME_STORE_GREETING_H

#include <stdbool.h>

#include "runtime/store_link.h"

/*
 * What is said first on a connection to a store, in one packet: HELLO with RESP2, the name, and the password as the
 * file has it now; and SELECT. Redis 6.0 is the first that knows it. The loop's thread.
 */
struct store_greeting {
    struct store_link *link;
    bool wants_master;
    /* The link may be used. What goes wrong closes the link, and is said so. */
    void (*done)(struct store_greeting *greeting);
    struct store_request hello, select;
};

/* The link is open, and nothing was sent on it. */
void store_greet(struct store_greeting *greeting, struct store_link *link);

/* AUTH as the spec has it, for whoever asks for it. ST_BAD: the link was closed, saying why. */
enum status store_greet_anew(struct store_link *link, struct store_request *request) MUST_CHECK;

/* Closes the link for this error; its `why` quotes it. */
void store_greeting_refused(struct store_link *link, const struct store_reply *error);

#endif
