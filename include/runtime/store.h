#ifndef CURFEW_RUNTIME_STORE_H
#define CURFEW_RUNTIME_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "base/status.h"
#include "core/store_reply.h"
#include "core/store_spec.h"
#include "core/timer.h"
#include "runtime/loop.h"

/*
 * A fleet's store, Redis or Valkey, as one process speaks to it: on one loop, never waiting for it. It keeps a
 * connection for commands, and one that hears hints once store_listen has said of what; both are made anew when they
 * go, after a spread wait of up to STORE_BACKOFF_MAX_NS. It finds the master by Sentinel if the spec says so, and the
 * node of a cluster by MOVED. All of it: the loop's thread.
 *
 * Every wait has a bound: making a connection, the password and the role included, STORE_CONNECT_NS (or four times the
 * spec's timeout, if that is longer); an answer, the command's limit. An answer is 64 KiB at most. What is not an
 * answer, or comes unasked, or too late, costs the connection: so no later command is ever given another's answer.
 */
struct store;

#define STORE_BACKOFF_NS     (50 * INT64_C(1000000))
#define STORE_BACKOFF_MAX_NS INT64_C(1000000000)
#define STORE_CONNECT_NS     INT64_C(1000000000)
#define STORE_REPLY_MAX      65536u /* bytes */
#define STORE_ITEMS_MAX      4096u  /* of one answer, those of nested lists included */
#define STORE_WORDS_MAX      64u    /* of one command */

enum store_fault {
    STORE_FINE, /* it has answered */
    STORE_AWAY, /* no connection, or it went before the answer came */
    STORE_LATE, /* no answer in time; the connection was closed */
    STORE_REFUSED, /* it has answered with an error: "NOPERM …", "OOM …", "LOADING …"; the connection stays */
    STORE_LOCKED,   /* no connection: the password, the user or TLS is wrong; a person has to mend it */
    STORE_GARBLED,  /* no connection any more: what came is no answer of a store's, or too much */
    STORE_SHORTAGE, /* no memory or descriptor of our own */
};
/* "away", "late", …: for logs and metrics. */
const char *store_fault_name(enum store_fault fault) __attribute__((const));

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

/* ---- commands ------------------------------------------------------------------------------------------ */

struct store_command;
/*
 * The command is over: it may be sent anew, or go. FINE: `reply` is the answer, no error. REFUSED: it is the error.
 * Otherwise NULL, and `why` (terminated) says what happened. Both are gone afterwards.
 */
typedef void (*store_fn)(struct store_command *command, enum store_fault fault,
                         const struct store_reply *reply, const char *why);

/* A script, sent by its digest (EVALSHA), and whole where the store does not have it (EVAL). */
struct store_script {
    struct span source; /* outlives its commands */
    char sha1[41];
};
void store_script_init(struct store_script *script, struct span source);

/* Embedded in who asks, zeroed before its first use; one command at a time. All but `sent_ns` is the store's. */
struct store_command {
    struct list_node node;
    struct store_link *link; /* that it was sent on or waits for; NULL: it is not under way */
    store_fn fn;
    const struct store_script *script; /* NULL: it is plain */
    struct span *words;                /* a copy, in one block */
    uint32_t word_count, key_count;
    struct timer timer;
    uint8_t redirects;
    bool is_active, is_sent, is_whole, is_asking, is_cancelled;
    enum store_fault fault; /* to be told at the end of the turn */
    struct mail mail;
    int64_t sent_ns; /* when it was sent last, by loop_now; 0: it never was */
};

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
