#include "call/try_doubt.h"

#include "call/context.h"
#include "call/keepalive.h"
#include "call/try.h"
#include "call/upstream.h"
#include "runtime/tcp.h"

/* For a request to be acknowledged by the upstream's kernel: longer than any round trip and the delay of an ACK. */
#define PATIENCE_NS NS_PER_S

/* Did the connection serve others before, and give this try, which had no more to say, not a byte? */
static bool was_silent(const struct try *try)
{
    const struct upstream *upstream = try->upstream;
    const struct stream *exchange = try->exchange;
    bool all_is_said = try->uploaded || exchange->blocked || exchange->lost;

    return upstream != NULL && upstream_is_made(upstream) && upstream->served != 0 && !exchange->heard &&
           all_is_said;
}

/* Of a failure that came over the connection, which may be closed by now, there is nothing to ask. */
static bool is_about_silence(enum cause cause)
{
    return cause == CAUSE_TERMINATED || cause == CAUSE_CALLER_GONE || cause_outcome(cause) == OUTCOME_STUCK;
}

/*
 * A caller that leaves says nothing about the upstream, but a request that is not acknowledged by then does. A
 * connection that ended may have been ended by the upstream alone, as it ends each: what has answered a moment ago is
 * not suspect for that.
 */
void try_doubt_connections(struct try *try, enum cause cause)
{
    struct keepalive *keepalive;
    int64_t now_ns = loop_now(try->context->loop), sent_ns = try->granted_ns;
    bool acknowledged;

    if (!is_about_silence(cause) || !was_silent(try))
        return;
    keepalive = try->context->keepalive[try->plan.config->index];
    acknowledged =
        cause != CAUSE_TERMINATED && !tcp_is_unacknowledged(upstream_connection(try->upstream)->transport.fd);
    if (cause == CAUSE_CALLER_GONE && (acknowledged || now_ns - sent_ns < PATIENCE_NS))
        return;
    if (cause == CAUSE_TERMINATED && now_ns - sent_ns < PATIENCE_NS)
        sent_ns = now_ns - PATIENCE_NS;
    keepalive_doubt(keepalive, upstream_connection(try->upstream), sent_ns, acknowledged);
}
