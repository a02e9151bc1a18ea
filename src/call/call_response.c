/* Heads of responses: from the upstream's bytes to what is written to the caller. */
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/upstream.h"
#include "wire/h1_send.h"

/* "[address]:port" */
#define AUTHORITY_MAX 64

/*
 * What is written next to the caller; the scratch text that it stands in is kept if he does not take it at once. While
 * there is a kept head, what waits is in it.
 */
static bool put_head(struct call *call, struct span text)
{
    struct span waiting = call->response.head;
    char *joined;

    if (waiting.len == 0) {
        mem_free(call->kept_head);
        call->kept_head = NULL;
        call->response.head = text;
        return true;
    }
    joined = mem_alloc(waiting.len + text.len);
    if (joined == NULL)
        return false;
    memcpy(joined, waiting.ptr, waiting.len);
    memcpy(joined + waiting.len, text.ptr, text.len);
    mem_free(call->kept_head);
    call->kept_head = joined;
    call->response.head = (struct span){joined, waiting.len + text.len};
    return true;
}

bool call_keep_unsent_head(struct call *call)
{
    struct span rest = call->response.head;
    char *copy;

    if (rest.len == 0 || call->kept_head != NULL)
        return true;
    copy = mem_dup(rest.ptr, rest.len);
    if (copy == NULL)
        return false;
    call->kept_head = copy;
    call->response.head.ptr = copy;
    return true;
}

/* There is no content before the response: only what there is of 1xx is written. */
bool call_deliver_interim(struct call *call)
{
    static const struct stream_piece nothing;
    bool progress = false;
    size_t taken;

    if (h1_send(&call->response, &call->downstream->transport, &nothing, &taken, &progress) == STREAM_LOST)
        call_caller_gone(call);
    else if (!call_keep_unsent_head(call))
        call_end(call, CAUSE_INTERNAL, NULL);
    return !call_is_over(call);
}

/* A 1xx: the wait for the response goes on, and so does its limit. */
static void interim_response(struct call *call, const struct http1_head *head)
{
    struct call_context *context = call->context;
    struct text text = text_over(context->text, context->text_cap);

    if (call->minor == 0 || (head->code == 100 && !call->expects_continue))
        return;
    if (call->response.head.len > context->snapshot->limits.response_head_bytes) {
        call_end(call, CAUSE_RESPONSE_HEAD_SIZE, "too many interim responses wait for the caller to read");
        return;
    }
    forward_response_head(&text, head, (struct forward_framing){HTTP1_NO_CONTENT, false}, call->minor, true,
                          &(struct forward_own){.rules = &call->config->rules});
    if (text.overflow || !put_head(call, text_span(&text)))
        call_end(call, CAUSE_INTERNAL, NULL);
    else
        (void)call_deliver_interim(call);
}

static struct forward_own say_own(const struct call *call, const struct http1_head *head)
{
    struct forward_own own = {.rules = &call->config->rules, .call_id = call->id};

    if (!head->has_date)
        own.date = context_date(call->context);
    return own;
}

/* Where the caller finds us: by the host that it used, or at the address that it has connected to. */
static struct span find_authority(const struct call *call, char block[AUTHORITY_MAX])
{
    struct text text = text_over(block, AUTHORITY_MAX);

    if (call->host_len != 0)
        return call_host(call);
    downstream_put_listener(&text, call->downstream);
    return text_span(&text);
}

/* Apart, so that a response without all that needs no room for the texts. */
static __attribute__((noinline)) void put_head_with_more(struct call *call, const struct http1_head *head,
                                                         struct forward_framing framing, struct text *out)
{
    char lines[CALL_TIMING_MAX], authority[AUTHORITY_MAX];
    struct text timing = text_over(lines, sizeof(lines));
    struct forward_own own = say_own(call, head);

    if (call->config->server_timing)
        call_fsm_put_timing(&timing, &call->fsm, loop_now(call->context->loop));
    if (call->config->rules.rewrites_location)
        own.authority = find_authority(call, authority);
    own.is_https = call->downstream->tls.server != NULL;
    own.lines = text_span(&timing);
    forward_response_head(out, head, framing, call->minor, call->keep_alive, &own);
}

static void put_response_head(struct call *call, const struct http1_head *head,
                              struct forward_framing framing, struct text *out)
{
    const struct forward_own own = say_own(call, head);

    if (call->config->server_timing || call->config->rules.rewrites_location)
        put_head_with_more(call, head, framing, out);
    else
        forward_response_head(out, head, framing, call->minor, call->keep_alive, &own);
}

static void final_response(struct call *call, const struct http1_head *head)
{
    struct call_context *context = call->context;
    struct text text = text_over(context->text, context->text_cap);
    struct forward_framing framing = forward_response_framing(head, call->minor);

    PRE(!call->answering && head->code >= 200); /* of final responses there is one */
    call->status = head->code;
    call->reusable = upstream_note_response(call->upstream, head);
    /* Whether the rest of the request ever comes, the caller has his answer. */
    if (framing.close || !call->request.ended)
        call->keep_alive = false;
    put_response_head(call, head, framing, &text);
    if (text.overflow) {
        call_end(call, CAUSE_RESPONSE_HEAD_SIZE, NULL);
        return;
    }
    if (!put_head(call, text_span(&text)) || !call_watch_progress(call, head)) {
        call_end(call, CAUSE_INTERNAL, NULL);
        return;
    }
    call->answering = true;
    call->answer_len = (uint32_t)text.len;
    call->response.framing = framing.framing;
    call_move(call, CALL_STREAMING);
}

static void count_status(struct call *call, uint16_t code)
{
    code_counts_count(&call->context->metrics->upstreams[call->config->index].responses, code);
}

/* What is behind a final head is content, or nothing that was asked for. */
void call_count_unfinished_head(struct call *call)
{
    uint16_t code;

    if (call->status == 0 && stream_read_code(call->exchange, &code))
        count_status(call, code);
}

bool call_take_response_head(struct call *call)
{
    const struct stream_fault *fault = &call->exchange->fault;
    struct http1_head *head;

    switch (stream_head(call->exchange, &head)) {
    case STREAM_OK: break;
    case STREAM_WAIT: return false;
    default: call_end_over(call, fault->cause, fault->detail, fault->odd); return false;
    }
    count_status(call, head->code);
    if (head->code < 200)
        interim_response(call, head);
    else
        final_response(call, head);
    return !call_is_over(call);
}
