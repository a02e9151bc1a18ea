#ifndef CURFEW_CORE_STORE_FAULT_H
#define CURFEW_CORE_STORE_FAULT_H

/* How a command to a fleet's store, or the connection to it, ended. */
enum store_fault {
    STORE_FINE, /* it has answered */
    STORE_AWAY, /* no connection, or it went before the answer came */
    STORE_LATE, /* no answer in time; the connection was closed */
    STORE_REFUSED, /* it has answered with an error: "NOPERM …", "OOM …", "LOADING …"; the connection stays */
    STORE_LOCKED,   /* no connection: the password, the user or TLS is wrong; a person has to mend it */
    STORE_GARBLED,  /* no connection any more: what came is no answer of a store's, or too much */
    STORE_SHORTAGE, /* no memory or descriptor of our own */
};
/* "away", "timeout", …: for logs and metrics. */
const char *store_fault_name(enum store_fault fault) __attribute__((const));

#endif
