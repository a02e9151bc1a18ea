/* CONNECT: the answer, and the ClientHello behind it. */
#include "call/call_connect.h"

#include "base/invariant.h"
#include "call/call_tunnel.h"
#include "call/context.h"

/* From the tunnel's opening to the whole ClientHello. */
#define HELLO_NS (5 * NS_PER_S)

static const struct destination_config *destination_of(const struct call *call)
{
    return &call->config->forward->destinations[call->route - call->config->routes];
}

bool call_ask_for_connect(struct call *call)
{
    const struct tunnel_config *config = &destination_of(call)->tunnel;

    PRE(call_is_connect(call) && call->config->forward != NULL);
    if (!call_ask_for_tunnel(call, &config->terms, NULL))
        return false;
    call->tunnel->awaits_hello = config->matches_sni;
    call->tunnel->reclaim_ns = config->reclaim_ns;
    return true;
}

void call_open_connect(struct call *call)
{
    call->tunnel->hello_end_ns = loop_now(call->context->loop) + HELLO_NS;
    call_go_on_after(call, call_answer_connect(call));
}

static bool is_of_destination(const struct call *call, const struct client_hello_name *name)
{
    const struct forward_config *forward = call->config->forward;
    uint32_t at = destination_find(forward->hosts, forward->count, (struct span){name->text, name->len});

    return at < forward->count && &forward->destinations[at] == destination_of(call);
}

/* What is wrong with it, for people. */
static const struct stream_fault *refuse(enum client_hello_result result)
{
    static const struct stream_fault faults[] = {
        [CLIENT_HELLO_NAMED] = {.cause = CAUSE_SNI,
                                .detail = "the TLS client asks for a name of another destination"},
        [CLIENT_HELLO_UNNAMED] = {.cause = CAUSE_SNI, .detail = "the TLS client asks for no name"},
        [CLIENT_HELLO_NOT_TLS] = {.cause = CAUSE_SNI, .detail = "what came first is no ClientHello"},
        [CLIENT_HELLO_BROKEN] = {.cause = CAUSE_SNI, .detail = "the ClientHello is broken"},
        [CLIENT_HELLO_TOO_LARGE] = {.cause = CAUSE_SNI, .detail = "the ClientHello is larger than 16 KiB"},
    };

    PRE(result != CLIENT_HELLO_MORE);
    return &faults[result];
}

/* All that has come by now. MORE: it is not the whole of it. */
static const struct stream_fault *look(struct call *call, const struct stream_piece *piece, bool *is_short)
{
    struct call_tunnel *tunnel = call->tunnel;
    enum client_hello_result result = client_hello_read(piece->data, &tunnel->sni);

    *is_short = result == CLIENT_HELLO_MORE && !piece->last;
    if (*is_short)
        return NULL;
    if (result == CLIENT_HELLO_MORE && piece->data.len != 0)
        result = CLIENT_HELLO_NOT_TLS; /* nor will it ever be one */
    if (result != CLIENT_HELLO_MORE &&
        (result != CLIENT_HELLO_NAMED || !is_of_destination(call, &tunnel->sni)))
        return refuse(result);
    tunnel->awaits_hello = false; /* it is good, or the caller has left without a word */
    return NULL;
}

const struct stream_fault *call_await_hello(struct call *call)
{
    struct stream *caller = call->caller;
    const struct stream_fault *fault;
    struct stream_piece piece;
    bool is_short;

    PRE(call->tunnel->awaits_hello && caller->tunnels);
    for (;;) {
        if (stream_peek(caller, false, &piece) == STREAM_BAD)
            return &caller->fault;
        fault = look(call, &piece, &is_short);
        if (!is_short)
            return fault;
        switch (stream_receive(caller)) {
        case STREAM_OK: break;
        case STREAM_WAIT: return NULL;
        case STREAM_NOMEM: return &call_no_memory;
        default: return &call_caller_left;
        }
    }
}
