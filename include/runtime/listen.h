#ifndef CURFEW_RUNTIME_LISTEN_H
#define CURFEW_RUNTIME_LISTEN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/endpoint.h"
#include "base/status.h"
#include "base/text.h"
#include "core/even_share.h"
#include "core/timer.h"

struct loop;

/* Bytes of a unix socket's path, terminated. */
#define LISTEN_PATH_MAX 109

/*
 * A listening socket is opened once and shared by all loops: an idle loop takes the next connection, unless it has more
 * than its share of them (core/even_share). (SO_REUSEPORT would deal them out blindly: of 1,000 over eight, one has a
 * fifth more than another; and it would let a second curfew on the same port go unnoticed.)
 *
 * Returns the descriptor, or -1 with errno. A unix socket's stale file is replaced; one that is listened on is in use.
 */
int listen_open(const struct endpoint *address);

/* Gives the file of a unix socket the mode and the group that `address` has, if any. False with errno. */
bool listen_permit(const struct endpoint *address);

/* What to do when these two have failed with this errno, to be put behind what strerror says; or "". */
const char *listen_advice(const struct endpoint *address, int error);

/* For a tool: a connection to what listens at an address, within so many seconds. -1 with errno. */
int listen_connect(const struct endpoint *address, int patience_s);

/* Makes a socket that another program opened as one of ours. False with errno. */
bool listen_adopt(int fd);

/* Closes it; removes a unix socket's file. */
void listen_close(const struct endpoint *address, int fd);

/*
 * Where a socket is bound: family, ip and port, or for a unix socket its path, put into `path`. False: it is no socket
 * that listens, or of another family. `text` is not set.
 */
bool listen_find_address(int fd, struct endpoint *out, char path[LISTEN_PATH_MAX]);

/* The address as it really is (a port 0 has become a number): "127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock". */
void listen_put_address(struct text *out, const struct endpoint *address, int fd);

/*
 * One loop's interest in a listening socket. When descriptors run out, it pauses for a moment instead of spinning.
 */
struct acceptor;
/* Takes over `fd`. `peer` is the other end; its family is AF_UNSPEC for a unix socket. */
typedef void (*accepted_fn)(struct acceptor *acceptor, int fd, const struct sockaddr *peer);

struct acceptor {
    struct event event;
    struct loop *loop;
    struct timer resume;
    accepted_fn accepted;
    /* How many connections this loop has, and all loops, whose number is returned. NULL: it is alone. */
    uint32_t (*count)(const struct acceptor *acceptor, uint32_t *own, uint32_t *all);
    struct even_share share;
    /* A connection waits and there is no descriptor for it: has one been found? NULL: the loop is asked. */
    bool (*shortage)(struct acceptor *acceptor);
    int fd;
    uint32_t turn; /* of the loop, in which the last connection came */
};

/* On the loop's thread, or before it runs; takes no connection yet. */
enum status acceptor_init(struct acceptor *acceptor, struct loop *loop, int fd,
                          accepted_fn accepted) MUST_CHECK;
/* Takes connections from now on. Once more does no harm. */
void acceptor_start(struct acceptor *acceptor);
/* Takes all connections that are there, for the socket is about to be closed. */
void acceptor_empty(struct acceptor *acceptor);
/* The end of it, started or not. */
void acceptor_stop(struct acceptor *acceptor);

#endif
