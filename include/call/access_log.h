#ifndef CURFEW_CALL_ACCESS_LOG_H
#define CURFEW_CALL_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "config/snapshot.h"

/*
 * The access log: each worker puts lines into a ring of its own; one thread writes them out. So a slow disk or a
 * reader that has stopped never holds up a call: what does not fit into the ring is dropped and counted.
 */
struct access_log;
struct log_ring;

/* Where the lines are to go. -1: *why says what failed ("log.access: /x/y.log: Permission denied"). */
int access_log_open(const struct log_config *config, char *why, size_t why_cap);
/* Could it be opened, by this process? Nothing is made. False: errno says why not. */
bool access_log_can_open(const struct log_config *config) __attribute__((warn_unused_result));
/* What access_log_open gave, and nobody took. */
void access_log_close(int fd);

/* Takes `fd` over. NULL: no memory. */
struct access_log *access_log_new(int fd, uint32_t worker_count);
/* Takes `fd` over: lines that have not been written yet go there, and its predecessor is closed. Any thread. */
void access_log_turn(struct access_log *log, int fd);
/* Writes what is left, for at most a second if nobody reads, and ends the thread. */
void access_log_free(struct access_log *log);

struct log_ring *access_log_ring(struct access_log *log, uint32_t worker);

/* Lines that could not be written, the disk being full or the reader gone. Any thread. */
uint64_t access_log_lost(struct access_log *log);

/* Puts a whole line, with its line break. False: there was no room, it is dropped. Worker's thread. */
bool log_ring_put(struct log_ring *ring, struct span line) __attribute__((warn_unused_result));

#endif
