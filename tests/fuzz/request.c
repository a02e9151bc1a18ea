/*
 * Request heads: the way in (http1_scan, http1_parse_request) and the way on (forward_request_head).
 *
 * Input: a byte for how the head arrives, one for what it is sent on with (bits of enum option), the head.
 */
#include "http/forward.h"
#include "http/trace.h"
#include "heads.h"

enum option {
    WITH_BASE_PATH = 1,
    WITH_SET_LINES = 2,
    WITH_DROPPED = 4,
    WITHOUT_CALLER = 8,
    WITH_OUR_FIELDS_DROPPED = 16,
    WITH_NEW_TRACE = 32,
    TELLING_X_FORWARDED = 64,
    TELLING_RFC7239 = 128 /* and Via, with either */
};

#define BYTES_MAX 8192

static const struct span dropped[] = {
    {"X-Set", 5},    {"Cookie", 6}, {"Via", 3}, {"X-Forwarded-For", 15}, {"X-Forwarded-Proto", 17},
    {"Forwarded", 9}};

static struct forward_rules rules_of(uint8_t options)
{
    struct forward_rules rules = {.host = SPAN_LIT("api.example.com")};

    if ((options & (TELLING_X_FORWARDED | TELLING_RFC7239)) != 0) {
        rules.tells = (options & TELLING_RFC7239) != 0 ? FORWARD_TELLS_RFC7239 : FORWARD_TELLS_X_FORWARDED;
        rules.via = true;
    }
    if ((options & WITH_BASE_PATH) != 0)
        rules.base_path = SPAN_LIT("/v2");
    if ((options & WITH_SET_LINES) != 0)
        rules.set_lines = SPAN_LIT("X-Set: ours\r\n");
    if ((options & (WITH_SET_LINES | WITH_DROPPED)) != 0) {
        forward_rules_set_dropped(&rules, dropped, (options & WITH_OUR_FIELDS_DROPPED) != 0 ? 6 : 2);
    }
    return rules;
}

static void check_target(const struct http1_head *head)
{
    char first = head->path.len != 0 ? head->path.ptr[0] : '\0';

    MUST(http1_is_token(head->method) && head->method_id != HTTP1_CONNECT);
    MUST(head->minor <= 1);
    MUST(first == '/' || (first == '?' && head->authority.len != 0) ||
         (span_eq(head->path, SPAN_LIT("*")) && head->method_id == HTTP1_OPTIONS));
    for (size_t i = 0; i < head->target.len; i++)
        MUST(head->target.ptr[i] > ' ' && head->target.ptr[i] < 0x7f && head->target.ptr[i] != '#');
}

static void check_accepted(struct span bytes, const struct http1_head *head)
{
    struct framing_seen seen = framing_of_fields(head);
    struct span value;
    unsigned hosts = count_fields(head, SPAN_LIT("host"), &value);

    MUST(check_lines(bytes) == 0);
    check_target(head);
    check_fields(bytes, head);
    MUST(seen.sound && seen.count <= 1 && head->framing == seen.framing &&
         head->content_length == seen.length);
    MUST(hosts == 1 || (hosts == 0 && head->minor == 0));
    MUST(hosts == 0 ||
         (span_eq(head->host, value) && memchr(value.ptr, '@', value.len) == NULL &&
          memchr(value.ptr, ' ', value.len) == NULL && memchr(value.ptr, '/', value.len) == NULL));
    MUST(!head->expect_continue || head->framing == HTTP1_CHUNKED || head->content_length != 0);
}

static const struct trace new_trace = {"0123456789abcdef0123456789abcdef", "0123456789abcdef"};

static bool is_of_a_trace(enum http1_field_id id)
{
    return id == HTTP1_FIELD_TRACEPARENT || id == HTTP1_FIELD_TRACESTATE;
}

/* Either all that came of a trace, or ours alone. */
static void check_trace(const struct http1_head *before, const struct http1_head *after, bool is_new)
{
    struct trace trace;

    for (unsigned i = 0; i < after->field_count; i++)
        MUST(!is_new || after->fields[i].id != HTTP1_FIELD_TRACESTATE);
    if (is_new)
        MUST(trace_parse(after->traceparent, &trace) && span_eq(trace_id(&trace), trace_id(&new_trace)));
    else
        MUST(span_eq(after->traceparent, before->traceparent));
}

/* What tells of the way passes as it came, unless the rules have it extended. */
static bool is_of_the_way(enum http1_field_id id)
{
    return id == HTTP1_FIELD_VIA || id == HTTP1_FIELD_FORWARDED || id == HTTP1_FIELD_X_FORWARDED_FOR ||
           id == HTTP1_FIELD_X_FORWARDED_PROTO || id == HTTP1_FIELD_X_FORWARDED_HOST;
}

/* A field that no rule takes away stands in what is sent, once for each time that it came. */
static void check_kept(const struct http1_head *before, const struct http1_head *after,
                       const struct forward_rules *rules, bool has_new_trace)
{
    struct span value;

    for (unsigned i = 0; i < before->field_count; i++) {
        const struct http1_field *field = &before->fields[i];
        bool passes = field->id == HTTP1_FIELD_OTHER || (is_of_a_trace(field->id) && !has_new_trace) ||
                      (is_of_the_way(field->id) && rules->tells == FORWARD_TELLS_NOTHING);
        bool is_dropped = field->nominated || !passes;

        for (uint32_t n = 0; n < rules->dropped_count; n++)
            is_dropped |= span_eq_nocase(rules->dropped[n], field->name);
        if (!is_dropped)
            MUST(count_fields(after, field->name, &value) == count_fields(before, field->name, &value));
    }
    for (uint32_t n = 0; n < rules->dropped_count; n++)
        MUST(count_fields(after, rules->dropped[n], &value) == (n == 0 && rules->set_lines.len != 0 ? 1 : 0));
}

static void check_path(const struct http1_head *before, const struct http1_head *after, struct span base)
{
    struct span path = after->path;

    if (before->path.ptr[0] == '*') {
        MUST(span_eq(path, before->path));
        return;
    }
    MUST(path.len >= base.len && span_eq((struct span){path.ptr, base.len}, base));
    path = (struct span){path.ptr + base.len, path.len - base.len};
    if (before->path.ptr[0] == '?') {
        MUST(path.ptr[0] == '/');
        path = (struct span){path.ptr + 1, path.len - 1};
    }
    MUST(span_eq(path, before->path));
}

/* What is sent on says the same as what came, to a reader who is as strict as we are. */
static void check_sent(struct span sent, const struct http1_head *before, const struct forward_rules *rules,
                       bool has_new_trace)
{
    static const struct span ours[] = {{"X-Set", 5}, {"traceparent", 11}};
    static struct http1_field fields[HTTP1_FIELDS_IN(2 * BYTES_MAX)];
    static struct http1_head after = HTTP1_HEAD_OVER(fields);
    struct found found = find_head(sent, false, SIZE_MAX);
    const char *detail;
    struct span value;
    enum cause cause;

    MUST(found.status == HTTP1_DONE && found.start == 0 && found.end == sent.len);
    cause = http1_parse_request(sent, &after, &detail);
    MUST(cause == CAUSE_NONE);
    check_accepted(sent, &after);
    MUST(after.minor == 1 && span_eq(after.method, before->method) && after.method_id == before->method_id);
    MUST(after.framing == before->framing && after.content_length == before->content_length);
    MUST(span_eq(after.host, rules->host) && after.authority.len == 0 && after.keep_alive);
    MUST(after.expect_continue == before->expect_continue && after.te_trailers == before->te_trailers);
    MUST(count_fields(&after, SPAN_LIT("expect"), &value) == 0 || before->expect_continue);
    check_path(before, &after, rules->base_path);
    check_hop_fields_are_gone(before, &after, ours, has_new_trace ? 2 : 1);
    check_kept(before, &after, rules, has_new_trace);
    check_trace(before, &after, has_new_trace);
}

/* Without room: says so, and has written a beginning of the whole. */
static void check_cut(struct span sent, const struct http1_head *head, const struct forward_rules *rules,
                      struct span caller, struct span trace_line, size_t cap)
{
    char *block = malloc(cap != 0 ? cap : 1);
    struct text text = text_over(block, cap);

    MUST(block != NULL);
    forward_request_head(&text, head, rules, (struct forwarded_caller){caller, false}, trace_line);
    MUST(text.overflow == (cap < sent.len) && text.len <= cap && memcmp(block, sent.ptr, text.len) == 0);
    free(block);
}

static void send_on(const struct http1_head *head, uint8_t options)
{
    static char block[2 * BYTES_MAX + 1024];
    struct text text = text_over(block, sizeof(block));
    struct forward_rules rules = rules_of(options);
    struct span caller = (options & WITHOUT_CALLER) != 0 ? SPAN_LIT("") : SPAN_LIT("192.0.2.1");
    char line_block[TRACE_LINE_LEN];
    struct text line = text_over(line_block, sizeof(line_block));
    size_t len;

    if ((options & WITH_NEW_TRACE) != 0)
        trace_put_line(&line, &new_trace);
    forward_request_head(&text, head, &rules, (struct forwarded_caller){caller, false}, text_span(&line));
    MUST(!text.overflow);
    len = text.len;
    TEXT_LIT(&text, "\r\n");
    check_sent(text_span(&text), head, &rules, line.len != 0);
    check_cut((struct span){block, len}, head, &rules, caller, text_span(&line), len * options / 255);
}

/* The line that was known early says the same as the head that it belongs to. */
static void check_early_line(struct span line, const struct http1_head *head, enum cause cause)
{
    static struct http1_head early;
    enum cause early_cause;

    if (line.len == 0)
        return;
    early_cause = http1_parse_request_line(line, &early);
    if (early_cause != CAUSE_NONE) {
        MUST(cause == early_cause);
        return;
    }
    if (cause == CAUSE_NONE)
        MUST(span_eq(early.method, head->method) && span_eq(early.target, head->target) &&
             span_eq(early.path, head->path) && span_eq(early.authority, head->authority) &&
             early.minor == head->minor);
}

/* Without looking for its end first, the head that is found, and accepted, is read alike; and no other. */
static void check_at_once(struct span bytes, const struct found *whole, const struct http1_head *head,
                          bool is_accepted)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(BYTES_MAX)];
    static struct http1_head at_once = HTTP1_HEAD_OVER(fields);
    size_t end;

    if (!http1_read_request(bytes, &at_once, &end)) {
        MUST(!is_accepted || whole->start != 0);
        return;
    }
    MUST(is_accepted && whole->start == 0 && end == whole->end);
    MUST(at_once.field_count == head->field_count && at_once.known == head->known &&
         at_once.framing == head->framing && at_once.keep_alive == head->keep_alive);
    MUST(span_eq(at_once.whole, head->whole) && span_eq(at_once.path, head->path));
    for (uint32_t i = 0; i < head->field_count; i++)
        MUST(span_eq(at_once.fields[i].line, head->fields[i].line) &&
             span_eq(at_once.fields[i].value, head->fields[i].value) &&
             at_once.fields[i].nominated == head->fields[i].nominated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(BYTES_MAX)];
    static struct http1_head head = HTTP1_HEAD_OVER(fields);
    static char line_block[BYTES_MAX];
    struct input input = {data, len > BYTES_MAX ? BYTES_MAX : len};
    uint8_t seed = input_byte(&input), options = input_byte(&input);
    struct span bytes = input_rest(&input), all = bytes;
    struct text line = text_over(line_block, sizeof(line_block)), no_line = text_over(NULL, 0);
    struct found whole = find_head_both_ways(bytes, false, SIZE_MAX, seed, &line);
    const char *detail = NULL;
    enum cause cause;

    (void)find_head_both_ways(bytes, false, options, seed, &no_line);
    if (whole.status != HTTP1_DONE) {
        check_at_once(all, &whole, &head, false);
        return 0;
    }
    bytes = (struct span){bytes.ptr + whole.start, whole.end - whole.start};
    cause = http1_parse_request(bytes, &head, &detail);
    check_at_once(all, &whole, &head, cause == CAUSE_NONE);
    MUST(detail != NULL && (detail[0] == '\0') == (cause == CAUSE_NONE));
    check_early_line(text_span(&line), &head, cause);
    if (cause != CAUSE_NONE) {
        MUST(cause_outcome(cause) == OUTCOME_NOT_A_CALL);
        return 0;
    }
    check_accepted(bytes, &head);
    send_on(&head, options);
    return 0;
}
