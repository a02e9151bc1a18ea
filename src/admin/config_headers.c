#include "admin/config_headers.h"

#include <string.h>

/* The name of the next of these lines, "Name: value\r\n", which is taken off them. */
static struct span next_name(struct span *lines)
{
    const char *colon = memchr(lines->ptr, ':', lines->len), *end = memchr(lines->ptr, '\n', lines->len);
    struct span name = {lines->ptr, (size_t)(colon - lines->ptr)};

    lines->len -= (size_t)(end + 1 - lines->ptr);
    lines->ptr = end + 1;
    return name;
}

static bool is_set(const struct upstream_config *upstream, struct span name)
{
    struct span lines = upstream->rules.set_lines;

    while (lines.len != 0)
        if (span_eq_nocase(next_name(&lines), name))
            return true;
    return false;
}

static bool is_of_caller_deadline(const struct upstream_config *upstream, struct span name)
{
    const struct caller_deadline_config *config = &upstream->caller_deadline;

    for (uint32_t i = 0; i < config->header_count; i++)
        if (span_eq_nocase(config->headers[i], name))
            return true;
    return span_eq_nocase(config->forward, name);
}

static void put_fields_set(struct jsonw *json, const struct upstream_config *upstream)
{
    struct span lines = upstream->rules.set_lines;

    jsonw_open_array(json, "set");
    if (upstream->host_is_set)
        jsonw_text(json, NULL, "Host");
    while (lines.len != 0)
        jsonw_string(json, NULL, next_name(&lines));
    jsonw_close_array(json);
}

/* Of all that is not passed on, what is neither replaced nor a matter of caller_deadline. */
static void put_fields_removed(struct jsonw *json, const struct upstream_config *upstream)
{
    jsonw_open_array(json, "remove");
    for (uint32_t i = 0; i < upstream->rules.dropped_count; i++) {
        struct span name = upstream->rules.dropped[i];

        if (!is_set(upstream, name) && !is_of_caller_deadline(upstream, name) &&
            !span_eq_nocase(name, upstream->retry_tell))
            jsonw_string(json, NULL, name);
    }
    jsonw_close_array(json);
}

void config_put_headers(struct jsonw *json, const struct upstream_config *upstream)
{
    static const char *const tells[] = {[FORWARD_TELLS_NOTHING] = "none",
                                        [FORWARD_TELLS_X_FORWARDED] = "x-forwarded",
                                        [FORWARD_TELLS_RFC7239] = "rfc7239"};
    const struct forward_rules *rules = &upstream->rules;

    jsonw_open_object(json, "headers");
    put_fields_set(json, upstream);
    put_fields_removed(json, upstream);
    jsonw_text(json, "forwarded", tells[rules->tells]);
    jsonw_bool(json, "via", rules->via);
    jsonw_text(json, "location", rules->rewrites_location ? "rewrite" : "keep");
    jsonw_close_object(json);
}
