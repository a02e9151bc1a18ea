#ifndef CURFEW_RUNTIME_TCP_H
#define CURFEW_RUNTIME_TCP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/cause.h"

/* What the kernel is asked of a TCP connection to an upstream, and what its errors mean. Any thread. */

/*
 * Sets a socket that is about to connect: as transport_tune does, and besides
 * - keepalive probes (SO_KEEPALIVE) once 60 s have passed without a packet, then every 15 s. NAT gateways forget a
 *   silent connection after 120 to 350 s; a call that waits for minutes would never get its response.
 * - TCP_USER_TIMEOUT of a little more than `longest_ns`, the longest that a call to this upstream may take: what has
 *   not been acknowledged for so long belongs to no call any more. It is set once. What is left of one call is kept to
 *   by the call's own timer, which resets the connection, so that a shorter value would cost a system call in each
 *   request and cut nothing earlier. One that is shorter than a call may take would end calls whose upstream is slow to
 *   read: the kernel counts a closed window (RFC 9293 3.8.6.1) as no progress.
 * Where the kernel has no such option, nothing happens.
 */
void tcp_tune_upstream(int fd, int64_t longest_ns);

/*
 * A socket that never blocks, on its way to `peer`, of IPv4 or IPv6; -1: errno says why not. It is set so, but if calls
 * are over before the first probe would be sent, only TCP_NODELAY is: the others would never matter to a call that is
 * cut. Then, once the connection has served its call and is kept, or if it is to serve several at a time,
 * tcp_tune_at_rest is due; and transport_bound_unsent before more than a head is sent.
 */
int tcp_connect(const struct sockaddr *peer, int64_t longest_ns);

/* The rest of a socket that tcp_connect has made. Once is enough. */
void tcp_tune_at_rest(int fd, int64_t longest_ns);

/* Is it a shortage of this process or this host, so that no other address is worth a try before it is over? */
bool tcp_is_shortage(int error) __attribute__((const));

/*
 * Has the kernel send a keepalive probe on a connection that has been idle for a second, at once, or else when it has,
 * and again each second until tcp_end_probing. The peer's kernel acknowledges it without a word to its program.
 */
void tcp_begin_probing(int fd);
void tcp_end_probing(int fd);

/* Has the peer acknowledged anything within the last `within_ns`? True where the kernel does not tell. */
bool tcp_has_acknowledged(int fd, int64_t within_ns);

/* Is there something that was sent and that the peer has not acknowledged? False where the kernel does not tell. */
bool tcp_is_unacknowledged(int fd);

/*
 * Why connect(2) or socket(2) towards `peer` failed with this errno. A shortage on this host (descriptors, memory,
 * local ports) is CAUSE_INTERNAL: the upstream has no part in it. May open and close a socket to find out.
 */
enum cause tcp_cause_of(int error, const struct sockaddr *peer);

#endif
