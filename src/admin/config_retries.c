#include "admin/config_retries.h"

#include <stdio.h>

#include "admin/config_values.h"

static void put_when(struct jsonw *json, const struct retry_when *when)
{
    char status_text[8];

    jsonw_open_array(json, "when");
    for (enum retry_kind kind = 0; kind < RETRY_KIND_COUNT; kind++)
        if (retry_when_has_kind(when, kind))
            jsonw_text(json, NULL, retry_kind_word(kind));
    for (uint16_t status = RETRY_STATUS_FIRST; status <= RETRY_STATUS_LAST; status++) {
        if (!retry_when_has_status(when, status))
            continue;
        snprintf(status_text, sizeof(status_text), "%u", status);
        jsonw_text(json, NULL, status_text);
    }
    jsonw_close_array(json);
}

static void put_repeat(struct jsonw *json, const struct retries_config *retries)
{
    jsonw_open_object(json, "repeat");
    config_put_list(json, "methods", retries->method_names, retries->method_count);
    jsonw_string(json, "key", retries->key.len != 0 ? retries->key : SPAN_LIT("none"));
    jsonw_bool(json, "refused", retries->policy.refused);
    config_put_size(json, "content", retries->content_bytes);
    jsonw_close_object(json);
}

void config_put_retries(struct jsonw *json, const struct upstream_config *upstream,
                        const struct retries_config *retries)
{
    if (!retries_are_on(retries)) {
        jsonw_null(json, "retries");
        return;
    }
    jsonw_open_object(json, "retries");
    jsonw_u64(json, "attempts", retries->policy.attempts);
    put_when(json, &retries->policy.when);
    config_put_duration(json, "per_try", retries->per_try_ns);
    jsonw_open_object(json, "backoff");
    config_put_duration(json, "base", retries->policy.base_ns);
    config_put_duration(json, "max", retries->policy.max_ns);
    jsonw_close_object(json);
    jsonw_open_object(json, "budget");
    config_put_percent(json, "share", upstream->retry_share_percent);
    jsonw_u64(json, "burst", upstream->retry_burst);
    jsonw_close_object(json);
    put_repeat(json, retries);
    config_put_duration(json, "retry_after", retries->policy.retry_after_ns);
    jsonw_text(json, "fallback", retries->fallback != NULL ? retries->fallback->name : "none");
    jsonw_string(json, "tell", upstream->retry_tell.len != 0 ? upstream->retry_tell : SPAN_LIT("none"));
    jsonw_bool(json, "say", retries->say);
    jsonw_close_object(json);
}
