/*
 * Response heads: the way in (http1_scan, http1_parse_response) and the way on to the caller (forward_response_head).
 *
 * Input: a byte for how the head arrives, one for the request that it answers (bits of enum option), the head.
 */
#include "http/forward.h"
#include "heads.h"

enum option { TO_HEAD = 1, TO_HTTP_1_0 = 2, TO_CLOSE = 4, WITH_VIA = 8, LEADING_BACK = 16 };

#define BYTES_MAX 8192

static bool is_always_empty(uint16_t code)
{
    return code < 200 || code == 204;
}

static bool has_no_content(const struct http1_head *head, enum http1_method method)
{
    return method == HTTP1_HEAD || is_always_empty(head->code) || head->code == 304;
}

/* RFC 9112 6.3, in the order of its list. */
static void check_framing(const struct http1_head *head, const struct framing_seen *seen,
                          enum http1_method method)
{
    if (has_no_content(head, method)) {
        MUST(head->framing == HTTP1_NO_CONTENT);
        MUST(head->described ==
             (seen->sound && !is_always_empty(head->code) ? seen->framing : HTTP1_NO_CONTENT));
        MUST(head->described != HTTP1_LENGTH || head->content_length == seen->length);
        return;
    }
    MUST(seen->sound && head->described == HTTP1_NO_CONTENT);
    MUST(head->framing == (seen->framing == HTTP1_NO_CONTENT ? HTTP1_UNTIL_CLOSE : seen->framing));
    MUST(head->framing != HTTP1_LENGTH || head->content_length == seen->length);
}

/* Whoever says more than it should may send more, too. */
static bool is_odd(const struct http1_head *head, const struct framing_seen *seen)
{
    return !seen->sound || seen->count > 1 ||
           (is_always_empty(head->code) && (seen->framing == HTTP1_CHUNKED || seen->length != 0));
}

/* One space on each side of the code, but at the end of the line. */
static bool is_plain_status(struct span bytes)
{
    return bytes.ptr[8] == ' ' && bytes.ptr[9] >= '0' && bytes.ptr[9] <= '9' && bytes.ptr[12] != '\t';
}

static void check_accepted(struct span bytes, const struct http1_head *head, enum http1_method method)
{
    struct framing_seen seen = framing_of_fields(head);
    bool is_sound = check_lines(bytes) == 0 && is_plain_status(bytes) && !is_odd(head, &seen);

    check_fields(bytes, head);
    MUST(head->minor <= 1 && head->code >= 100 && head->code <= 999 && head->code != 101);
    check_framing(head, &seen, method);
    MUST(!head->keep_alive || (is_sound && head->framing != HTTP1_UNTIL_CLOSE));
}

/* How the caller must come to see the end of the content. */
static void check_sent_framing(const struct http1_head *before, const struct http1_head *after,
                               bool old_caller)
{
    switch (before->framing) {
    case HTTP1_NO_CONTENT: MUST(after->framing == HTTP1_NO_CONTENT); break;
    case HTTP1_LENGTH:
        MUST(after->framing == HTTP1_LENGTH && after->content_length == before->content_length);
        break;
    default: MUST(after->framing == (old_caller ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED)); break;
    }
}

/* Content's metadata where no content follows (RFC 9110 8.6), which is told once if it could be read. */
static void check_metadata(const struct http1_head *before, const struct http1_head *after, bool old_caller)
{
    struct span is;

    if (before->framing != HTTP1_NO_CONTENT)
        return;
    MUST(count_fields(after, SPAN_LIT("content-length"), &is) == (before->described == HTTP1_LENGTH));
    MUST(count_fields(after, SPAN_LIT("transfer-encoding"), &is) ==
         (before->described == HTTP1_CHUNKED && !old_caller));
}

static void check_status(const struct http1_head *before, const struct http1_head *after)
{
    struct span value;
    unsigned ids = count_fields(after, SPAN_LIT("x-curfew-call"), &value);

    MUST(after->minor == 1 && after->code == before->code);
    MUST(before->reason.len == 0 ? span_eq(after->reason, span_of(http1_reason(before->code)))
                                 : span_eq(after->reason, before->reason));
    if (before->code >= 200)
        MUST(ids == 1 && span_eq(value, SPAN_LIT("c0ffee")));
}

static void send_on(const struct http1_head *before, uint8_t options)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(2 * BYTES_MAX)];
    static struct http1_head after = HTTP1_HEAD_OVER(fields);
    static char block[2 * BYTES_MAX + 1024];
    struct text text = text_over(block, sizeof(block));
    bool old_caller = (options & TO_HTTP_1_0) != 0, keep_alive = (options & TO_CLOSE) == 0;
    uint8_t minor = old_caller ? 0 : 1;
    struct forward_framing framing = forward_response_framing(before, minor);
    const struct forward_rules rules = {.via = (options & WITH_VIA) != 0,
                                        .host = SPAN_LIT("api.example"),
                                        .origin = SPAN_LIT("[::1]:8080"),
                                        .base_path = SPAN_LIT("/v2")};
    struct forward_own own = {.rules = &rules, .call_id = 0xc0ffee};
    struct found found;
    const char *detail;
    enum cause cause;

    if ((options & LEADING_BACK) != 0)
        own.authority = SPAN_LIT("here:81");
    if (before->code < 200)
        framing = (struct forward_framing){HTTP1_NO_CONTENT, false};
    forward_response_head(&text, before, framing, minor, keep_alive, &own);
    MUST(!text.overflow);
    found = find_head(text_span(&text), true, SIZE_MAX);
    MUST(found.status == HTTP1_DONE && found.start == 0 && found.end == text.len);
    cause = http1_parse_response(text_span(&text), before->method_id, &after, &detail);
    MUST(cause == CAUSE_NONE);
    check_accepted(text_span(&text), &after, before->method_id);
    MUST(check_lines(text_span(&text)) == 0 && !after.tolerated);
    check_status(before, &after);
    check_sent_framing(before, &after, old_caller);
    check_metadata(before, &after, old_caller);
    check_hop_fields_are_gone(before, &after, &SPAN_LIT("X-Curfew-Call"), 1);
    if (before->code >= 200)
        MUST(after.keep_alive == (keep_alive && !framing.close));
}

/* Nobody who goes on to give a response is turned away before. */
static void check_beginnings(struct span bytes)
{
    struct http1_scan scan = {.is_response = true};
    struct span have = {bytes.ptr, 0}, head;
    size_t end;

    for (; have.len < bytes.len; have.len++) {
        MUST(http1_scan(&scan, have, &head, &end) == HTTP1_MORE);
        MUST(have.len == 0 || http1_may_be_response(&scan, have));
    }
}

/* Without looking for its end first, the head that is found, and sound, is read alike; and no other. */
static void check_at_once(struct span bytes, const struct found *whole, enum http1_method method,
                          const struct http1_head *head, bool is_sound)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(BYTES_MAX)];
    static struct http1_head at_once = HTTP1_HEAD_OVER(fields);
    size_t end;

    if (!http1_read_response(bytes, method, &at_once, &end)) {
        MUST(!is_sound || whole->start != 0);
        return;
    }
    MUST(is_sound && whole->start == 0 && end == whole->end);
    MUST(at_once.code == head->code && at_once.field_count == head->field_count &&
         at_once.known == head->known && at_once.framing == head->framing &&
         at_once.described == head->described && at_once.keep_alive == head->keep_alive);
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
    enum http1_method method = (options & TO_HEAD) != 0 ? HTTP1_HEAD : HTTP1_GET;
    struct span bytes = input_rest(&input), all = bytes, before;
    struct text line = text_over(line_block, sizeof(line_block)), no_line = text_over(NULL, 0);
    struct found whole = find_head_both_ways(bytes, true, SIZE_MAX, seed, &line);
    const char *detail = NULL;
    enum cause cause;

    (void)find_head_both_ways(bytes, true, options, seed, &no_line);
    if (whole.status != HTTP1_DONE) {
        check_at_once(all, &whole, method, &head, false);
        return 0;
    }
    MUST(whole.start <= 2);
    bytes.len = whole.end;
    before = bytes;
    bytes.ptr += whole.start;
    bytes.len -= whole.start;
    cause = http1_parse_response(bytes, method, &head, &detail);
    check_at_once(all, &whole, method, &head, cause == CAUSE_NONE && !head.tolerated);
    MUST(detail != NULL && (detail[0] == '\0') == (cause == CAUSE_NONE));
    if (cause != CAUSE_NONE) {
        MUST(cause == CAUSE_HTTP_PROTOCOL || cause == CAUSE_RESPONSE_HEAD_SIZE);
        return 0;
    }
    check_beginnings(before);
    check_accepted(bytes, &head, method);
    send_on(&head, options);
    return 0;
}
