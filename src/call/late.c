#include "call/late.h"

#include "base/invariant.h"
#include "call/call.h"
#include "call/context.h"
#include "call/upstream.h"

/* Of content; a response that is longer has shown its status. */
#define CONTENT_MAX 65536u
/* Reads in one turn, so that calls get theirs. */
#define ROUNDS      8

static void give_up_exchange(struct late *late)
{
    if (late->h2 != NULL)
        h2_exchange_free(late->h2);
    else
        h1_exchange_fini(&late->h1);
    late->h2 = NULL;
    late->exchange = NULL;
}

/* Everything about it is written down, and its connection is closed. */
static void conclude(struct late *late, bool is_whole)
{
    struct call_context *context = late->context;
    int64_t now_ns = loop_now(context->loop);
    uint16_t status = late->result.status;

    PRE(late->upstream != NULL && late->upstream->user == late);
    late->result.is_whole = is_whole;
    late->result.after_ns = now_ns - late->begun_ns;
    context->metrics->routes[late->route->index].late[status != 0 ? metric_class(status) : LATE_CLASS_NONE]++;
    *late_calls_next(&context->late) = late->result;
    if (context->log != NULL)
        call_log_late(late);
    loop_undefer(&late->kick);
    if (is_whole)
        upstream_close(&late->upstream);
    else
        upstream_cut(&late->upstream);
    give_up_exchange(late);
    POST(late->upstream == NULL);
}

static void finish(struct late *late, bool is_whole, bool api_has_ended)
{
    conclude(late, is_whole);
    late->over(late, api_has_ended);
}

/* False: no more can be had now, or it is over. */
static bool receive(struct late *late)
{
    enum stream_result result = stream_receive(late->exchange);

    if (result == STREAM_OK || result == STREAM_WAIT)
        return result == STREAM_OK;
    finish(late, false, result == STREAM_LOST);
    return false;
}

static void note_head(struct late *late, const struct http1_head *head)
{
    code_counts_count(&late->context->metrics->upstreams[late->config->index].responses, head->code);
    if (!http1_is_interim(head->code))
        late->result.status = head->code;
}

static bool take_head(struct late *late)
{
    struct http1_head *head;

    switch (stream_head(late->exchange, &head)) {
    case STREAM_OK: note_head(late, head); return true;
    case STREAM_WAIT: return receive(late);
    default: finish(late, false, false); return false;
    }
}

static bool take_content(struct late *late)
{
    struct stream_piece piece;
    enum stream_result result = stream_peek(late->exchange, false, &piece);

    if (result == STREAM_WAIT)
        return receive(late);
    if (result != STREAM_OK) {
        finish(late, false, false);
        return false;
    }
    stream_take(late->exchange, piece.data.len);
    late->taken += (uint32_t)piece.data.len;
    if (!piece.last && late->taken < CONTENT_MAX)
        return true;
    finish(late, piece.last, piece.last);
    return false;
}

static void read_on(struct late *late)
{
    for (int round = 0; round < ROUNDS; round++) {
        bool goes_on = late->result.status == 0 ? take_head(late) : take_content(late);

        if (!goes_on)
            return;
    }
    loop_defer(late->context->loop, &late->kick);
}

static void kicked(struct mail *mail)
{
    read_on(CONTAINER_OF(mail, struct late, kick));
}

static void ready(struct upstream *upstream)
{
    struct late *late = upstream->user;

    PRE(late->upstream == upstream);
    loop_undefer(&late->kick);
    read_on(late);
}

static const struct upstream_events events = {.ready = ready};

bool late_can_begin(const struct try *try)
{
    return try->exchange == &try->h1.stream || try->uploaded;
}

/* The try keeps its figures. */
static void take_exchange(struct late *late, struct try *try)
{
    late->exchange = &late->h1.stream;
    if (try->exchange == &try->h1.stream) {
        h1_exchange_take_over(&late->h1, &try->h1);
        return;
    }
    late->h2 = try->h2;
    late->exchange = &late->h2->stream;
    try->h1.stream.received = late->exchange->received;
    try->h2 = NULL;
    try->exchange = &try->h1.stream;
}

void late_begin(struct late *late, const struct call *call, struct try *try)
{
    PRE(try->upstream != NULL && upstream_is_made(try->upstream) && late->over != NULL);
    late->context = call->context;
    late->config = try->plan.config;
    late->route = call->route;
    late->trace = call->trace != NULL ? *call->trace : (struct trace){.id = ""};
    late->begun_ns = call->fsm.begun_ns;
    late->result = (struct late_call){.id = call->id, .status = try->status};
    try->peer = *upstream_peer(try->upstream);
    late->upstream = try->upstream;
    try->upstream = NULL;
    late->upstream->events = &events;
    late->upstream->user = late;
    upstream_may_be_silent(upstream_connection(late->upstream));
    take_exchange(late, try);
    late->exchange->paused = true; /* what is there may raise no event any more */
    mail_init(&late->kick, kicked);
    loop_defer(late->context->loop, &late->kick);
}

void late_end(struct late *late)
{
    if (late->upstream != NULL)
        conclude(late, false);
}
