#include "call/local_reply.h"

#include "base/invariant.h"
#include "base/json.h"

/* Where there is nothing better to say: where the call was, and how long it took. */
static void put_detail(struct jsonw *json, const struct local_reply *reply)
{
    char block[160];
    struct text text = text_over(block, sizeof(block));

    if (reply->detail != NULL) {
        jsonw_string(json, "detail", span_of(reply->detail));
    } else if (!reply->is_call) {
        jsonw_string(json, "detail", span_of(cause_title(reply->cause)));
    } else {
        text_printf(&text, "The call was in phase %s, ", phase_name(reply->phase));
        text_ms(&text, reply->now_ns - reply->fsm->begun_ns);
        TEXT_LIT(&text, " ms after its first byte; its budget is ");
        text_ms(&text, reply->fsm->deadline_ns - reply->fsm->begun_ns);
        TEXT_LIT(&text, " ms.");
        jsonw_string(json, "detail", text_span(&text));
    }
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
    if (reply->is_call) {
        jsonw_string(&json, "phase", span_of(phase_name(reply->phase)));
        jsonw_string(&json, "sent", span_of(sent_name(reply->fsm->sent)));
        call_fsm_put_times(&json, reply->fsm, reply->now_ns);
    }
    word = text_over(block, sizeof(block));
    text_hex(&word, reply->call_id);
    jsonw_string(&json, "call", text_span(&word));
    if (reply->trace != NULL)
        jsonw_string(&json, "trace_id", trace_id(reply->trace));
    jsonw_close_object(&json);
    TEXT_LIT(out, "\n");
}

static void put_fields(struct text *out, const struct local_reply *reply, size_t content_len)
{
    const char *error = cause_proxy_error(reply->cause, reply->phase);
    enum sent sent = reply->is_call ? reply->fsm->sent : SENT_NONE;
    uint16_t status = cause_status(reply->cause);

    TEXT_LIT(out, "HTTP/1.1 ");
    text_u64(out, status);
    text_printf(out,
                " %s\r\nContent-Type: application/problem+json\r\nContent-Length: ", http1_reason(status));
    text_u64(out, content_len);
    if (error != NULL)
        text_printf(out, "\r\nProxy-Status: curfew; error=%s", error);
    TEXT_LIT(out, "\r\nDate: ");
    text_put(out, reply->date);
    TEXT_LIT(out, "\r\nX-Curfew-Call: ");
    text_hex(out, reply->call_id);
    if (cause_invites_retry(reply->cause, sent))
        TEXT_LIT(out, "\r\nRetry-After: 1");
    if (status == 405)
        TEXT_LIT(out, "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
    if (!reply->keep_alive)
        TEXT_LIT(out, "\r\nConnection: close");
    else if (reply->minor == 0)
        TEXT_LIT(out, "\r\nConnection: keep-alive");
    TEXT_LIT(out, "\r\n");
    if (reply->timed && reply->is_call)
        call_fsm_put_timing(out, reply->fsm, reply->now_ns);
    TEXT_LIT(out, "\r\n");
}

void local_reply_put(struct text *out, const struct local_reply *reply)
{
    char block[LOCAL_REPLY_MAX / 2];
    struct text problem = text_over(block, sizeof(block));

    PRE(cause_status(reply->cause) >= 400); /* what ended well has no reply of ours */
    put_problem(&problem, reply);
    POST(!problem.overflow);
    put_fields(out, reply, problem.len);
    if (!reply->head_only)
        text_put(out, text_span(&problem));
}
