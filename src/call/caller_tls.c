#include "call/caller_tls.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/context.h"
#include "call/handshake_watch.h"
#include "call/local_reply.h"
#include "runtime/loop.h"

struct caller_tls *caller_tls_new(struct tls_server *server, void *owner,
                                  void (*step)(struct handshake *handshake))
{
    struct caller_tls *tls = mem_alloc(sizeof(*tls));

    PRE(server != NULL);
    if (tls == NULL)
        return NULL;
    *tls = (struct caller_tls){.server = tls_server_acquire(server),
                               .owner = owner,
                               .handshake = {.step = step},
                               .in_handshake = true};
    list_init(&tls->handshake.node);
    return tls;
}

void caller_tls_fini(struct caller_tls *tls)
{
    if (tls == NULL)
        return;
    list_remove(&tls->handshake.node);
    mem_free(tls->name);
    tls->name = NULL;
    tls_server_release(tls->server);
    tls->server = NULL;
}

/* A request in plain HTTP gets an answer that it understands. */
static void answer(struct transport *transport, const struct caller_tls_place *place, const char *why)
{
    struct call_context *context = place->context;
    char block[LOCAL_REPLY_MAX];
    struct text text = text_over(block, sizeof(block));
    struct local_reply reply = {.cause = CAUSE_BAD_REQUEST,
                                .detail = why,
                                .upstream = place->upstream,
                                .call_id = context->next_call++,
                                .date = context_date(context)};
    struct iovec piece;
    size_t written;

    local_reply_put(&text, &reply);
    piece = (struct iovec){text.ptr, text.len};
    /* An empty socket takes all of it, or the caller has gone. */
    if (transport_write(transport, &piece, 1, &written) != ST_OK)
        written = 0;
    context->metrics->process.refused[CAUSE_BAD_REQUEST]++;
    if (context->log != NULL)
        call_log_plain_request(place, reply.call_id, why);
}

static void count(const struct caller_tls_place *place, const struct tls_server_failure *failure)
{
    struct call_context *context = place->context;
    const struct failed_handshake failed = {.upstream = place->upstream,
                                            .caller = place->caller,
                                            .why = failure->why,
                                            .is_routine = failure->is_silent};

    context->metrics->process.handshakes_failed[failure->reason]++;
    if (context->handshake_watch != NULL)
        handshake_watch_note(context->handshake_watch, &failed, loop_now(context->loop));
}

static enum status note_name(struct caller_tls *tls, const struct transport *transport)
{
    char block[TLS_SERVER_NAME_MAX];
    struct text name = text_over(block, sizeof(block));

    tls_server_put_caller(&name, transport);
    if (name.len == 0)
        return ST_OK;
    tls->name = mem_dup(name.ptr, name.len);
    return tls->name != NULL ? ST_OK : ST_NOMEM;
}

enum status caller_tls_step(struct caller_tls *tls, struct transport *transport,
                            const struct caller_tls_place *place)
{
    struct tls_server_failure failure;
    enum status status = tls_server_handshake(tls->server, transport, &failure);

    PRE(tls->in_handshake);
    if (status == ST_AGAIN)
        return ST_AGAIN;
    tls->in_handshake = false;
    if (status == ST_OK)
        return note_name(tls, transport);
    if (status != ST_FAILED)
        return status;
    count(place, &failure);
    if (failure.is_http)
        answer(transport, place, failure.why);
    return ST_FAILED;
}

void caller_tls_is_late(const struct caller_tls *tls, const struct transport *transport,
                        const struct caller_tls_place *place)
{
    const struct tls_server_failure failure = {.reason = HANDSHAKE_TIMEOUT,
                                               .is_silent = transport->ssl == NULL,
                                               .why = "it was not over within limits.handshake_timeout"};

    PRE(tls->in_handshake);
    count(place, &failure);
}
