#ifndef CURFEW_PROXY_MEMORY_BOUND_H
#define CURFEW_PROXY_MEMORY_BOUND_H

#include <stdint.h>

#include "config/snapshot.h"

/*
 * Bytes that connections, calls and their buffers may take at worst: every caller's connection has a head under way,
 * or a response that has come whole, so that its permit went back, and is not read; every permit a call that moves
 * content in both directions, and every connection that may be kept is. The libraries' own memory (that of TLS
 * connections above all) comes on top.
 */
uint64_t memory_bound(const struct snapshot *snapshot);

#endif
