#include "call/local_reply.h"

#include <inttypes.h>

#include "base/invariant.h"
#include "base/json.h"
#include "core/grpc_code.h"
#include "http/grpc.h"

/* Where there is nothing better to say: where the call was, and how long it took. It may lie in `text`. */
static struct span find_detail(const struct local_reply *reply, struct text *text)
{
    if (reply->detail != NULL)
        return span_of(reply->detail);
    if (!reply->is_call)
        return span_of(cause_title(reply->cause));
    text_printf(text, "The call was in phase %s, ", phase_name(reply->phase));
    text_ms(text, reply->now_ns - reply->fsm->begun_ns);
    TEXT_LIT(text, " ms after its first byte; its budget is ");
    text_ms(text, reply->fsm->deadline_ns - reply->fsm->begun_ns);
    TEXT_LIT(text, " ms.");
    return text_span(text);
}

static void put_detail(struct jsonw *json, const struct local_reply *reply)
{
    char block[160];
    struct text text = text_over(block, sizeof(block));

    jsonw_string(json, "detail", find_detail(reply, &text));
}

static void put_api_error(struct jsonw *json, const struct local_reply *reply)
{
    jsonw_open_object(json, "error");
    jsonw_text(json, "type", "api_error");
    jsonw_text(json, "message", cause_title(reply->cause));
    jsonw_close_object(json);
}

static void put_problem(struct text *out, const struct local_reply *reply)
{
    struct jsonw json = jsonw_on(out);
    char block[64];
    struct text word = text_over(block, sizeof(block));

    jsonw_open_object(&json, NULL);
    text_printf(&word, "urn:curfew:problem:%s", cause_reason(reply->cause));
    jsonw_string(&json, "type", text_span(&word));
    jsonw_string(&json, "title", span_of(cause_title(reply->cause)));
    jsonw_u64(&json, "status", cause_status(reply->cause));
    put_detail(&json, reply);
    jsonw_string(&json, "upstream", span_of(reply->upstream));
    if (reply->refusal != NULL) {
        jsonw_string(&json, "state", span_of(breaker_state_name(reply->refusal->state)));
        jsonw_u64(&json, "opens_in_ms", reply->refusal->left_ms);
        jsonw_string(&json, "reason", span_of(breaker_reason_name(reply->refusal->reason)));
    }
    if (reply->is_call) {
        jsonw_string(&json, "phase", span_of(phase_name(reply->phase)));
        jsonw_string(&json, "sent", span_of(sent_name(reply->fsm->sent)));
        call_fsm_put_times(&json, reply->fsm, reply->now_ns);
        retries_put(&json, reply->retries, reply->retry_stop);
    }
    word = text_over(block, sizeof(block));
    text_hex(&word, reply->call_id);
    jsonw_string(&json, "call", text_span(&word));
    if (reply->trace != NULL)
        jsonw_string(&json, "trace_id", trace_id(reply->trace));
    if (reply->has_api_error)
        put_api_error(&json, reply);
    jsonw_close_object(&json);
    TEXT_LIT(out, "\n");
}

static void put_proxy_status(struct text *out, const struct local_reply *reply)
{
    const char *error = cause_proxy_error(reply->cause, reply->phase);

    if (error != NULL)
        text_printf(out, "Proxy-Status: curfew; error=%s\r\n", error);
}

static bool invites_retry(const struct local_reply *reply)
{
    return cause_invites_retry(reply->cause, reply->is_call ? reply->fsm->sent : SENT_NONE);
}

/* What a head of ours says behind its content's type. */
static void put_more_lines(struct text *out, const struct local_reply *reply)
{
    if (reply->timed && reply->is_call)
        call_fsm_put_timing(out, reply->fsm, reply->now_ns);
    retries_put_lines(out, reply->retries, reply->timed, reply->says);
}

/* Field lines that the head's own fields are not. */
static void put_lines(struct text *out, const struct local_reply *reply)
{
    TEXT_LIT(out, "Content-Type: application/problem+json\r\n");
    put_proxy_status(out, reply);
    if (invites_retry(reply))
        text_printf(out, "Retry-After: %" PRIu64 "\r\n", reply->retry_after_s);
    if (cause_status(reply->cause) == 405)
        TEXT_LIT(out, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n");
    put_more_lines(out, reply);
}

/* ---- to gRPC -------------------------------------------------------------------------------------------- */

/* Percent-encoded, a byte may take three. */
#define MESSAGE_MAX (LOCAL_REPLY_MAX / 8)

static void put_message(struct text *out, const struct local_reply *reply)
{
    char block[160];
    struct text text = text_over(block, sizeof(block));
    struct span title = span_of(cause_title(reply->cause)), detail = find_detail(reply, &text);

    TEXT_LIT(out, "grpc-message: ");
    grpc_put_message(out, title);
    if (!span_eq(title, detail)) {
        TEXT_LIT(out, ": ");
        detail.len = detail.len < MESSAGE_MAX ? detail.len : MESSAGE_MAX;
        grpc_put_message(out, detail);
    }
    TEXT_LIT(out, "\r\n");
}

/* Clients that try again do so after this time, if their policy lists the status (gRPC's A6). */
static void put_pushback(struct text *out, const struct local_reply *reply)
{
    uint64_t wait_ms = reply->refusal != NULL ? reply->refusal->left_ms : reply->retry_after_s * 1000;

    if (invites_retry(reply) && !cause_is_shutdown(reply->cause))
        text_printf(out, "grpc-retry-pushback-ms: %" PRIu64 "\r\n", wait_ms);
}

static void put_grpc_lines(struct text *out, const struct local_reply *reply)
{
    text_printf(out, "grpc-status: %s\r\n", grpc_code_name(grpc_code_of_cause(reply->cause)));
    put_message(out, reply);
    put_pushback(out, reply);
    put_proxy_status(out, reply);
}

void local_reply_put_trailers(struct text *out, const struct local_reply *reply)
{
    put_grpc_lines(out, reply);
    TEXT_LIT(out, "X-Curfew-Call: ");
    text_hex(out, reply->call_id);
    TEXT_LIT(out, "\r\n");
    POST(!out->overflow);
}

/* Trailers alone, which stand in the head. */
static void put_grpc_head(struct text *out, const struct local_reply *reply)
{
    TEXT_LIT(out, "Content-Type: ");
    text_put(out, reply->grpc_type);
    TEXT_LIT(out, "\r\n");
    put_grpc_lines(out, reply);
    put_more_lines(out, reply);
}

/* ---- both ----------------------------------------------------------------------------------------------- */

static void make_grpc(struct local_response *response, struct text *text, const struct local_reply *reply)
{
    put_grpc_head(text, reply);
    response->content = SPAN_LIT("");
    response->head = (struct http1_head){
        .code = 200, .minor = 1, .framing = HTTP1_NO_CONTENT, .described = HTTP1_NO_CONTENT};
}

/* Clients tell of an answer to CONNECT by its status line alone. */
static struct span make_reason(char block[96], const struct local_reply *reply)
{
    struct text text = text_over(block, 96);
    const char *error = cause_proxy_error(reply->cause, reply->phase);
    const char *reason = cause_reason(reply->cause);

    TEXT_LIT(&text, "curfew: ");
    text_put(&text, span_of(reason));
    if (error != NULL && strcmp(error, reason) != 0)
        text_printf(&text, " (%s)", error);
    POST(!text.overflow);
    return text_span(&text);
}

static void make_problem(struct local_response *response, struct text *text, const struct local_reply *reply)
{
    put_lines(text, reply);
    response->head = (struct http1_head){
        .code = cause_status(reply->cause),
        .minor = 1,
        .framing = reply->head_only ? HTTP1_NO_CONTENT : HTTP1_LENGTH,
        .described = HTTP1_LENGTH,
        .content_length = response->content.len,
    };
    if (reply->by_proxy)
        response->head.reason = make_reason(response->reason, reply);
    if (reply->head_only)
        response->content.len = 0;
}

void local_reply_make(struct local_response *response, const struct local_reply *reply)
{
    struct text text = text_over(response->block, sizeof(response->block));
    size_t lines_at;

    PRE(cause_status(reply->cause) >= 400); /* what ended well has no reply of ours */
    if (reply->grpc_type.len == 0)
        put_problem(&text, reply);
    response->content = text_span(&text);
    lines_at = text.len;
    if (reply->grpc_type.len != 0)
        make_grpc(response, &text, reply);
    else
        make_problem(response, &text, reply);
    POST(!text.overflow);
    response->own = (struct forward_own){
        .call_id = reply->call_id,
        .lines = {response->block + lines_at, text.len - lines_at},
        .date = reply->date,
    };
}

void local_reply_put(struct text *out, const struct local_reply *reply)
{
    struct local_response response;

    local_reply_make(&response, reply);
    forward_response_head(out, &response.head, (struct forward_framing){HTTP1_LENGTH, true}, 1, false,
                          &response.own);
    text_put(out, response.content);
    POST(!out->overflow);
}
