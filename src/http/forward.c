#include "http/forward.h"

#include "base/invariant.h"
#include "http/forwarded.h"
#include "http/location.h"

/*
 * Field lines lie next to each other in the buffer that was parsed. So those that stay are copied in runs:
 * one memcpy from a line that stays up to the next one that does not.
 */
struct run {
    struct span bytes;
};

static void run_keep(struct run *run, struct span line)
{
    PRE(run->bytes.len == 0 ||
        run->bytes.ptr + run->bytes.len == line.ptr); /* what lies between was flushed */
    if (run->bytes.len == 0)
        run->bytes.ptr = line.ptr;
    run->bytes.len += line.len;
}

static void run_flush(struct run *run, struct text *out)
{
    text_put(out, run->bytes);
    run->bytes.len = 0;
}

/* Fields that say how two neighbours talk: never copied; where the next hop needs one, it is written anew. */
static bool is_for_one_hop(enum http1_field_id id)
{
    switch (id) {
    case HTTP1_FIELD_CONNECTION:
    case HTTP1_FIELD_CONTENT_LENGTH:
    case HTTP1_FIELD_KEEP_ALIVE:
    case HTTP1_FIELD_PROXY_CONNECTION:
    case HTTP1_FIELD_TE:
    case HTTP1_FIELD_TRANSFER_ENCODING:
    case HTTP1_FIELD_UPGRADE: return true;
    default: return false;
    }
}

static bool is_of_a_trace(enum http1_field_id id)
{
    return id == HTTP1_FIELD_TRACEPARENT || id == HTTP1_FIELD_TRACESTATE;
}

/* A request on its way: what becomes of the fields that we may write. */
struct request_plan {
    const struct forward_rules *rules;
    bool expect, new_trace;
    struct forwarded forwarded;
};

static bool request_keeps(const struct request_plan *plan, const struct http1_field *field)
{
    if (field->nominated)
        return false;
    if (field->id != HTTP1_FIELD_OTHER) {
        if (is_for_one_hop(field->id) || field->id == HTTP1_FIELD_HOST || field->id == plan->forwarded.list)
            return false;
        if (field->id == HTTP1_FIELD_EXPECT && !plan->expect)
            return false;
        if (is_of_a_trace(field->id) && plan->new_trace)
            return false;
    }
    return !forward_rules_drop(plan->rules, field->name);
}

/* What is meant for the whole server, "*", is for a proxy an url without a path (RFC 9112 3.2.4). */
static void put_request_line(struct text *out, const struct http1_head *head,
                             const struct forward_rules *rules)
{
    PRE(head->path.len != 0);
    text_put(out, head->method);
    TEXT_LIT(out, " ");
    text_put(out, rules->authority);
    if (rules->whole_url) {
        TEXT_LIT(out, "http://");
        text_put(out, head->authority);
    }
    if (head->path.ptr[0] != '*')
        text_put(out, rules->base_path);
    if (head->path.ptr[0] == '?')
        TEXT_LIT(out, "/");
    if (head->path.ptr[0] != '*' || (rules->authority.len == 0 && !rules->whole_url))
        text_put(out, head->path);
    TEXT_LIT(out, " HTTP/1.1\r\n");
}

static void put_line(struct text *out, struct span name_and_colon, struct span value)
{
    text_put(out, name_and_colon);
    text_put(out, value);
    TEXT_LIT(out, "\r\n");
}

static void put_content_length(struct text *out, uint64_t length)
{
    TEXT_LIT(out, "Content-Length: ");
    text_u64(out, length);
    TEXT_LIT(out, "\r\n");
}

/* RFC 9110 7.6.3: the version is the one that was received. */
static void put_via(struct text *out, uint8_t minor)
{
    if (minor == 0)
        TEXT_LIT(out, "Via: 1.0 curfew\r\n");
    else
        TEXT_LIT(out, "Via: 1.1 curfew\r\n");
}

static void put_request_framing(struct text *out, const struct http1_head *head)
{
    PRE(head->framing != HTTP1_UNTIL_CLOSE);
    if (head->framing == HTTP1_LENGTH)
        put_content_length(out, head->content_length);
    else if (head->framing == HTTP1_CHUNKED)
        TEXT_LIT(out, "Transfer-Encoding: chunked\r\n");
    if (head->te_trailers)
        TEXT_LIT(out, "TE: trailers\r\nConnection: TE\r\n");
}

static void put_upgrade(struct text *out, struct span protocol)
{
    TEXT_LIT(out, "Connection: Upgrade\r\n");
    put_line(out, SPAN_LIT("Upgrade: "), protocol);
}

void forward_request_head(struct text *out, const struct http1_head *head, const struct forward_rules *rules,
                          struct forwarded_caller caller, struct span trace_line)
{
    struct request_plan plan = {
        .rules = rules, .expect = head->expect_continue, .new_trace = trace_line.len != 0};
    struct run run = {{NULL, 0}};

    if (rules->tells != FORWARD_TELLS_NOTHING)
        plan.forwarded = forwarded_plan(head, rules, caller);
    put_request_line(out, head, rules);
    put_line(out, SPAN_LIT("Host: "), rules->host.len != 0 ? rules->host : head->authority);
    for (const struct http1_field *field = head->fields, *end = field + head->field_count; field < end;
         field++) {
        if (request_keeps(&plan, field))
            run_keep(&run, field->line);
        else
            run_flush(&run, out);
    }
    run_flush(&run, out);
    put_request_framing(out, head);
    if ((head->known & HTTP1_BIT(UPGRADE)) != 0 && head->upgrade.len != 0)
        put_upgrade(out, head->upgrade);
    if (rules->via && !forward_rules_drop(rules, SPAN_LIT("Via")))
        put_via(out, head->minor);
    if (rules->tells != FORWARD_TELLS_NOTHING)
        forwarded_put(out, head, &plan.forwarded);
    if (plan.new_trace)
        text_put(out, trace_line);
    text_put(out, rules->set_lines);
}

struct forward_framing forward_response_framing(const struct http1_head *response, uint8_t caller_minor)
{
    struct forward_framing framing = {response->framing, false};

    if (framing.framing == HTTP1_CHUNKED || framing.framing == HTTP1_UNTIL_CLOSE) {
        framing.framing = caller_minor == 0 ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED;
        framing.close = caller_minor == 0;
    }
    return framing;
}

static bool response_keeps(const struct http1_field *field)
{
    if (field->nominated)
        return false;
    if (field->id == HTTP1_FIELD_OTHER)
        return field->name.len != sizeof("X-Curfew-Call") - 1 ||
               !span_eq_nocase(field->name, SPAN_LIT("X-Curfew-Call"));
    return !is_for_one_hop(field->id);
}

static void put_status_line(struct text *out, const struct http1_head *response)
{
    TEXT_LIT(out, "HTTP/1.1 ");
    text_u64(out, response->code);
    TEXT_LIT(out, " ");
    text_put(out, response->reason.len != 0 ? response->reason : span_of(http1_reason(response->code)));
    TEXT_LIT(out, "\r\n");
}

/* What a final response has and an interim one has not. */
static void put_response_end(struct text *out, const struct http1_head *response,
                             struct forward_framing framing, uint8_t caller_minor, bool keep_alive,
                             const struct forward_own *own)
{
    enum http1_framing told = framing.framing;

    /* Of content that is not sent, it is metadata (RFC 9110 9.3.2). */
    if (told == HTTP1_NO_CONTENT)
        told = response->described;
    if (told == HTTP1_LENGTH)
        put_content_length(out, response->content_length);
    else if (told == HTTP1_CHUNKED && caller_minor != 0)
        TEXT_LIT(out, "Transfer-Encoding: chunked\r\n");
    if (response->code == 101)
        put_upgrade(out, own->upgrade);
    else if (!keep_alive || framing.close)
        TEXT_LIT(out, "Connection: close\r\n");
    else if (caller_minor == 0)
        TEXT_LIT(out, "Connection: keep-alive\r\n");
    if (own->date.len != 0)
        put_line(out, SPAN_LIT("Date: "), own->date);
    if (own->call_id != 0) {
        TEXT_LIT(out, "X-Curfew-Call: ");
        text_hex(out, own->call_id);
        TEXT_LIT(out, "\r\n");
    }
    text_put(out, own->lines);
}

static bool ends_with_lf_alone(struct span line)
{
    PRE(line.len >= 3 && line.ptr[line.len - 1] == '\n');
    return line.ptr[line.len - 2] != '\r';
}

/* Its line end is a caller's to understand. */
static void put_mended_line(struct text *out, struct run *run, struct span line)
{
    run_flush(run, out);
    text_put(out, (struct span){line.ptr, line.len - 1});
    TEXT_LIT(out, "\r\n");
}

/* A Location of the API's own origin is turned into the caller's. False: it is none. */
static bool put_location(struct text *out, struct run *run, const struct http1_field *field,
                         const struct forward_own *own)
{
    struct span rest;

    if (!location_is_told_by(field) || !location_is_own(own->rules, field->value, &rest))
        return false;
    run_flush(run, out);
    text_put(out, field->name);
    text_put(out, own->is_https ? SPAN_LIT(": https://") : SPAN_LIT(": http://"));
    text_put(out, own->authority);
    if (rest.len == 0 || rest.ptr[0] != '/')
        TEXT_LIT(out, "/");
    text_put(out, rest);
    TEXT_LIT(out, "\r\n");
    return true;
}

void forward_response_head(struct text *out, const struct http1_head *response,
                           struct forward_framing framing, uint8_t caller_minor, bool keep_alive,
                           const struct forward_own *own)
{
    bool interim = http1_is_interim(response->code);
    struct run run = {{NULL, 0}};

    PRE(caller_minor == 1 || framing.framing != HTTP1_CHUNKED); /* HTTP/1.0 knows no chunks */
    put_status_line(out, response);
    for (const struct http1_field *field = response->fields, *end = field + response->field_count;
         field < end; field++) {
        if (!response_keeps(field))
            run_flush(&run, out);
        else if (own->authority.len != 0 && put_location(out, &run, field, own))
            continue;
        else if (response->tolerated && ends_with_lf_alone(field->line))
            put_mended_line(out, &run, field->line);
        else
            run_keep(&run, field->line);
    }
    run_flush(&run, out);
    if (own->rules != NULL && own->rules->via)
        put_via(out, response->minor);
    if (!interim)
        put_response_end(out, response, framing, caller_minor, keep_alive, own);
    TEXT_LIT(out, "\r\n");
}

/* RFC 9110 6.5.1: what a recipient that merges trailers into the head could be deceived with. */
static bool may_trail(const struct http1_field *field)
{
    static const struct span never[] = {
#define NAME(text) {(text), sizeof(text) - 1}
        /* routing and request modifiers */
        NAME("Cache-Control"),
        NAME("Max-Forwards"),
        NAME("Pragma"),
        NAME("Range"),
        NAME("If-Match"),
        NAME("If-None-Match"),
        NAME("If-Modified-Since"),
        NAME("If-Unmodified-Since"),
        NAME("If-Range"),
        NAME("X-Forwarded-Port"),
        NAME("X-Real-IP"),
        /* authentication */
        NAME("Authorization"),
        NAME("Proxy-Authorization"),
        NAME("WWW-Authenticate"),
        NAME("Proxy-Authenticate"),
        NAME("Cookie"),
        NAME("Set-Cookie"),
        /* response control */
        NAME("Age"),
        NAME("Expires"),
        NAME("Location"),
        NAME("Retry-After"),
        NAME("Vary"),
        NAME("Warning"),
        /* how the content is to be understood */
        NAME("Content-Encoding"),
        NAME("Content-Location"),
        NAME("Content-Range"),
        NAME("Content-Type"),
        /* ours */
        NAME("X-Curfew-Call"),
#undef NAME
    };

    if (field->id != HTTP1_FIELD_OTHER)
        return false;
    for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (field->name.len == never[i].len && span_eq_nocase(field->name, never[i]))
            return false;
    return true;
}

void forward_trailers(struct text *out, struct span trailers, const struct forward_rules *rules)
{
    struct http1_field field;
    bool bad;

    while (http1_next_trailer(&trailers, &field, &bad))
        if (may_trail(&field) && (rules == NULL || !forward_rules_drop(rules, field.name)))
            text_put(out, field.line);
    PRE(!bad); /* http1_content_next has read the whole section before */
}
