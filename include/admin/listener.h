#ifndef CURFEW_ADMIN_LISTENER_H
#define CURFEW_ADMIN_LISTENER_H

#include <stddef.h>

#include "admin/request.h"
#include "admin/clients.h"
#include "base/text.h"
#include "config/address.h"

/* A socket on which the admin's requests come in, with those who are connected to it. */
struct admin_listener {
    struct endpoint address; /* its texts are copies */
    int fd;
    bool is_handed; /* somebody else opened it, and closes it */
    bool is_open;
    struct clients clients;
};

/*
 * Listens on `address`, or by the socket `handed_fd` unless that is -1; a zeroed listener. ST_FAILED and ST_NOMEM:
 * nothing is left open, and `why` (terminated, at most why_cap bytes) says what failed. The loop's thread.
 */
enum status admin_listener_open(struct admin_listener *listener, struct loop *loop,
                                const struct endpoint *address, int handed_fd, admin_request_fn came,
                                void *arg, char *why, size_t why_cap) MUST_CHECK;

/* Requests under way are cut. One that is not open is left alone. */
void admin_listener_close(struct admin_listener *listener);

/* Where it really listens: "127.0.0.1:9600", "[::1]:9600", "unix:/run/curfew/admin.sock". */
void admin_listener_put_address(const struct admin_listener *listener, struct text *out);

#endif
