#include "call/retries.h"

#include "runtime/socket_address.h"

static const char *word_of(const struct try_record *record)
{
    switch (record->end) {
    case TRY_STRUCK: return "per_try";
    case TRY_LOST: return "hedge_lost";
    default: return cause_reason(record->cause);
    }
}

static void put_try(struct jsonw *json, const struct try_record *record)
{
    char block[64];
    struct text text = text_over(block, sizeof(block));

    jsonw_open_object(json, NULL);
    jsonw_string(json, "upstream", span_of(record->upstream));
    socket_address_put(&text, &record->peer.any);
    jsonw_string(json, "address", text_span(&text));
    jsonw_string(json, "sent", span_of(sent_name(record->sent)));
    jsonw_u64(json, "status", record->status);
    jsonw_string(json, "cause", span_of(word_of(record)));
    jsonw_ms(json, "ms", record->took_ns);
    if (record->is_hedge)
        jsonw_bool(json, "hedge", true);
    jsonw_close_object(json);
}

void retries_put(struct jsonw *json, const struct call_retries *retries, enum retry_stop stop)
{
    if (retries != NULL && retries->count > 1) {
        jsonw_open_array(json, "tries");
        for (uint8_t i = 0; i < retries->count; i++)
            put_try(json, &retries->tries[i]);
        jsonw_close_array(json);
    }
    if (retries != NULL && retries->lost_status != 0)
        jsonw_u64(json, "last_status", retries->lost_status);
    if (stop > RETRY_NOT_MEANT)
        jsonw_text(json, "retry_stopped", retry_stop_word(stop));
}

void retries_put_lines(struct text *out, const struct call_retries *retries, bool timed, bool says)
{
    if (!retries_had_one(retries))
        return;
    if (timed) {
        TEXT_LIT(out, "Server-Timing: retry;dur=");
        text_ms(out, retries->again_ns - retries->began_ns);
        text_printf(out, ";desc=\"%u tries\"\r\n", retries->started);
    }
    if (says)
        TEXT_LIT(out, "X-Should-Retry: false\r\nStripe-Should-Retry: false\r\n");
}
