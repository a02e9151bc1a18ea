#ifndef CURFEW_RUNTIME_STORE_H
#define CURFEW_RUNTIME_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "core/store_fault.h"
#include "core/store_spec.h"
#include "runtime/loop.h"
#include "runtime/store_command.h"

/*
 * A fleet's store, Redis or Valkey, as one process speaks to it: on one loop, never waiting for it. It keeps a
 * connection for commands, and one that hears hints once store_listen has said of what; both are made anew when they
 * go, after a spread wait of up to a second. It finds the master by Sentinel if the spec says so, and the
 * node of a cluster by MOVED. All of it: the loop's thread.
 *
 * Every wait has a bound: making a connection, the password and the role included, a second (or four times the spec's
 * timeout, if that is longer); an answer, the command's limit. An answer is 64 KiB at most. What is not an
 * answer, or comes unasked, or too late, costs the connection: so no later command is ever given another's answer.
 */
struct store;

/* What whoever has the store hears of it, from the loop. May send commands; must not free the store. */
struct store_events {
    /* Commands go out from now on, on a new connection. */
    void (*up)(void *arg);
    /*
     * The connection has gone, or none could be made; `why` (terminated; for people) says what happened. Of a row of
     * attempts that fail for the same reason, the first is told.
     */
    void (*down)(void *arg, enum store_fault fault, const char *why);
    /* Something was published on a channel that is listened to. */
    void (*hint)(void *arg, struct span channel);
    /* The channels are listened to from now on; what was published before was missed. */
    void (*listening)(void *arg);
    /* They are not, and why: while it is so, hints are missed. NULL: nobody wants to know. */
    void (*deaf)(void *arg, enum store_fault fault, const char *why);
};

/*
 * Reads the files of the spec's tls; connects from the loop's next turn on. NULL: `why` (terminated) says why. The spec
 * and what it refers to outlive it.
 */
struct store *store_new(struct loop *loop, const struct store_spec *spec, const struct store_events *events,
                        void *arg, char *why, size_t why_cap);
/* Commands under way are forgotten: their functions do not run. Not from one of its callbacks. */
void store_free(struct store *store);

/* Is there a connection over which commands go at once? Its number: another one for each; 0: there is none. */
uint64_t store_connection(const struct store *store);
/* Where that is, or was tried last: "redis.internal:6379" or "unix:/run/redis.sock". */
void store_put_place(const struct store *store, struct text *out);

/* ---- commands ------------------------------------------------------------------------------------------ */

/*
 * Sends a command, or a script with its keys (of one hash tag) and arguments; words are copied. Exactly one `fn`
 * follows, from the loop, within limit_ns (0: the spec's timeout), unless it is cancelled. While a connection is being
 * made, the command waits for it as long as its limit lasts; while none is even tried, it ends AWAY. It is never sent
 * again once the store may have done it.
 */
void store_send(struct store *store, struct store_command *command, const struct span *words, uint32_t count,
                int64_t limit_ns, store_fn fn);
void store_run(struct store *store, struct store_command *command, const struct store_script *script,
               const struct span *keys, uint32_t key_count, const struct span *args, uint32_t arg_count,
               int64_t limit_ns, store_fn fn);

/*
 * Its function will not run. If it has been sent and not yet answered, its connection is closed, and other commands on
 * that end AWAY. No effect on one that is not under way.
 */
void store_cancel(struct store *store, struct store_command *command);
static inline bool store_is_under_way(const struct store_command *command)
{
    return command->is_active;
}

/* ---- hints --------------------------------------------------------------------------------------------- */

/* From now on these channels are listened to, and no others; copied. None: the second connection is closed. */
enum status store_listen(struct store *store, const struct span *channels, uint32_t count) MUST_CHECK;

#endif
