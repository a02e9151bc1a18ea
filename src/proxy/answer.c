#include "proxy/answer.h"

#include "base/json.h"

/* Where there is nothing better to say: where the call was, and how long it took. */
static void put_detail(struct jsonw *json, const struct answer *answer)
{
    char block[160];
    struct text text = text_over(block, sizeof(block));

    if (answer->detail != NULL) {
        jsonw_string(json, "detail", span_of(answer->detail));
    } else if (!answer->is_call) {
        jsonw_string(json, "detail", span_of(cause_title(answer->cause)));
    } else {
        text_printf(&text, "The call was in phase %s, ", phase_name(answer->phase));
        text_ms(&text, answer->now_ns - answer->fsm->begun_ns);
        TEXT_LIT(&text, " ms after its first byte; its budget is ");
        text_ms(&text, answer->fsm->deadline_ns - answer->fsm->begun_ns);
        TEXT_LIT(&text, " ms.");
        jsonw_string(json, "detail", text_span(&text));
    }
}

static void put_problem(struct text *out, const struct answer *answer)
{
    struct jsonw json = jsonw_on(out);
    char block[64];
    struct text word = text_over(block, sizeof(block));

    jsonw_open_object(&json, NULL);
    text_printf(&word, "urn:curfew:problem:%s", cause_reason(answer->cause));
    jsonw_string(&json, "type", text_span(&word));
    jsonw_string(&json, "title", span_of(cause_title(answer->cause)));
    jsonw_u64(&json, "status", cause_status(answer->cause));
    put_detail(&json, answer);
    jsonw_string(&json, "upstream", span_of(answer->upstream));
    if (answer->is_call) {
        jsonw_string(&json, "phase", span_of(phase_name(answer->phase)));
        jsonw_string(&json, "sent", span_of(sent_name(answer->fsm->sent)));
        call_fsm_put_times(&json, answer->fsm, answer->now_ns);
    }
    word = text_over(block, sizeof(block));
    text_hex(&word, answer->call_id);
    jsonw_string(&json, "call", text_span(&word));
    if (answer->trace != NULL)
        jsonw_string(&json, "trace_id", trace_id(answer->trace));
    jsonw_close_object(&json);
    TEXT_LIT(out, "\n");
}

static void put_fields(struct text *out, const struct answer *answer, size_t content_len)
{
    const char *error = cause_proxy_error(answer->cause, answer->phase);
    enum sent sent = answer->is_call ? answer->fsm->sent : SENT_NONE;
    uint16_t status = cause_status(answer->cause);

    TEXT_LIT(out, "HTTP/1.1 ");
    text_u64(out, status);
    text_printf(out,
                " %s\r\nContent-Type: application/problem+json\r\nContent-Length: ", http1_reason(status));
    text_u64(out, content_len);
    if (error != NULL)
        text_printf(out, "\r\nProxy-Status: curfew; error=%s", error);
    TEXT_LIT(out, "\r\nDate: ");
    text_put(out, answer->date);
    TEXT_LIT(out, "\r\nX-Curfew-Call: ");
    text_hex(out, answer->call_id);
    if (cause_invites_retry(answer->cause, sent))
        TEXT_LIT(out, "\r\nRetry-After: 1");
    if (status == 405)
        TEXT_LIT(out, "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
    if (!answer->keep_alive)
        TEXT_LIT(out, "\r\nConnection: close");
    else if (answer->minor == 0)
        TEXT_LIT(out, "\r\nConnection: keep-alive");
    TEXT_LIT(out, "\r\n");
    if (answer->timed && answer->is_call)
        call_fsm_put_timing(out, answer->fsm, answer->now_ns);
    TEXT_LIT(out, "\r\n");
}

void answer_put(struct text *out, const struct answer *answer)
{
    char block[ANSWER_MAX / 2];
    struct text problem = text_over(block, sizeof(block));

    put_problem(&problem, answer);
    put_fields(out, answer, problem.len);
    if (!answer->head_only)
        text_put(out, text_span(&problem));
}
