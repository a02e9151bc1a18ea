/*
 * Whole connections, one message behind the other: read by http/h1_reader, and sent on by
 * http/h1_writer. However the bytes are split into reads, the same messages come out, and whoever reads what we
 * sent finds the same messages with the same content, each complete only if ours was.
 *
 * Input: a byte for how the bytes arrive, one for how the sink takes them, one for what they are (bits of enum
 * option), one of which the bits say which responses answer a HEAD, the bytes.
 */
#include "http/forward.h"
#include "sink.h"

enum option { RESPONSES = 1, OLD_CALLER = 2, SENT_AT_ONCE = 4 };

#define BYTES_MAX    8192
#define MESSAGES_MAX 32

struct message {
    enum cause cause; /* NONE: its head was accepted */
    uint16_t code;
    enum http1_method method;
    enum http1_framing framing;
    uint64_t target, content, trailers; /* digests */
    uint64_t content_bytes, length;
    bool complete, broken;
};

struct talk {
    uint32_t count;
    struct message messages[MESSAGES_MAX];
};

/* What a connection is, apart from its bytes. */
struct terms {
    bool responses;
    uint8_t caller_minor, heads;
    uint8_t seed; /* how it arrives */
    bool at_once;
};

static uint64_t digest(uint64_t before, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        before = (before ^ (uint8_t)bytes.ptr[i]) * UINT64_C(0x100000001b3);
    return before;
}

static enum http1_method method_answered(const struct terms *terms, unsigned response)
{
    return (terms->heads >> (response & 7) & 1) != 0 ? HTTP1_HEAD : HTTP1_GET;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* The reader's end of the connection. */
struct reader {
    const struct terms *terms;
    struct arrival arrival;
    struct source in;
    struct http1_head head;
    struct http1_field fields[HTTP1_FIELDS_IN(32 * BYTES_MAX)];
    unsigned final_responses;
};

static void reader_open(struct reader *reader, const struct terms *terms, struct span bytes)
{
    reader->terms = terms;
    reader->arrival = arrival_of(bytes, terms->seed);
    reader->in = (struct source){.data = reader->arrival.block};
    reader->final_responses = 0;
    reader->head = (struct http1_head)HTTP1_HEAD_OVER(reader->fields);
}

static bool reader_more(struct reader *reader)
{
    bool more = arrival_more(&reader->arrival);

    while (reader->terms->at_once && arrival_more(&reader->arrival))
        ;
    reader->in.end = reader->arrival.have;
    return more;
}

static enum cause parse_head(struct reader *reader, struct span head)
{
    const char *detail;
    enum cause cause;

    if (!reader->terms->responses)
        return http1_parse_request(head, &reader->head, &detail);
    cause = http1_parse_response(head, method_answered(reader->terms, reader->final_responses), &reader->head,
                                 &detail);
    reader->final_responses += cause == CAUSE_NONE && reader->head.code >= 200;
    return cause;
}

/* False: there is no whole head any more. */
static bool read_head(struct reader *reader, enum cause *cause, struct span *head)
{
    struct http1_scan scan = {.is_response = reader->terms->responses};
    enum http1_status status = HTTP1_MORE;
    size_t end = 0;

    while (status == HTTP1_MORE) {
        if (source_span(&reader->in).len != 0)
            status = http1_scan(&scan, source_span(&reader->in), head, &end);
        if (status == HTTP1_MORE && !reader_more(reader))
            return false;
    }
    *cause = CAUSE_BAD_REQUEST;
    if (status == HTTP1_DONE)
        *cause = parse_head(reader, *head);
    reader->in.start += end;
    return true;
}

static void read_content(struct reader *reader, struct message *message)
{
    struct http1_content content;
    enum http1_status status = HTTP1_MORE;

    http1_content_init(&content, reader->terms->responses, message->framing, reader->head.content_length);
    do {
        struct span data = {0}, trailers = {0};
        size_t used = 0;

        status = http1_content_next(&content, source_span(&reader->in), &used, &data, &trailers);
        message->content = digest(message->content, data);
        message->content_bytes += data.len;
        message->trailers = digest(message->trailers, trailers);
        reader->in.start += used;
        if (status == HTTP1_MORE && (used == 0 || source_span(&reader->in).len == 0) && !reader_more(reader))
            break;
    } while (status == HTTP1_MORE);
    message->broken = status == HTTP1_BAD;
    message->complete =
        status == HTTP1_DONE || (status == HTTP1_MORE && message->framing == HTTP1_UNTIL_CLOSE);
}

static struct message message_of(const struct http1_head *head)
{
    /* "?y" is short for "/?y". */
    struct span slash = {"/", head->path.len != 0 && head->path.ptr[0] == '?'};

    return (struct message){
        .code = head->code,
        .method = head->method_id,
        .framing = head->framing,
        .target = digest(digest(digest(1, head->method), slash), head->path),
        .length = head->framing == HTTP1_LENGTH ? head->content_length : 0,
    };
}

/* May another message follow on this connection? */
static bool goes_on(const struct http1_head *head)
{
    return head->code != 0 && head->code < 200 ? true
                                               : head->keep_alive && head->framing != HTTP1_UNTIL_CLOSE;
}

/* The messages in the bytes, as the bare parser finds them. */
static void read_talk(struct talk *talk, const struct terms *terms, struct span bytes)
{
    static struct reader reader;
    struct span head;
    enum cause cause;

    talk->count = 0;
    reader_open(&reader, terms, bytes);
    while (talk->count < MESSAGES_MAX && read_head(&reader, &cause, &head)) {
        struct message *message = &talk->messages[talk->count++];

        *message = (struct message){.cause = cause};
        if (cause != CAUSE_NONE)
            break;
        *message = message_of(&reader.head);
        read_content(&reader, message);
        if (!message->complete || !goes_on(&reader.head))
            break;
    }
    arrival_free(&reader.arrival);
}

/* ---- sending on ---------------------------------------------------------------------------------------- */

static enum http1_framing send_head(const struct terms *terms, const struct http1_head *head,
                                    struct text *out)
{
    static const struct forward_rules rules = {.host = {"api.example.com", 15}};
    static const struct forward_own own = {
        .rules = &rules, .call_id = 1, .lines = {"Server-Timing: wait;dur=1\r\n", 27}};
    struct forward_framing framing = {HTTP1_NO_CONTENT, false};

    if (!terms->responses) {
        forward_request_head(out, head, &rules, (struct forwarded_caller){SPAN_LIT("192.0.2.1"), false},
                             SPAN_LIT(""));
        TEXT_LIT(out, "\r\n");
        return head->framing;
    }
    if (head->code >= 200)
        framing = forward_response_framing(head, terms->caller_minor);
    forward_response_head(out, head, framing, terms->caller_minor, true, &own);
    return framing.framing;
}

/* To its end, or to the end of what has come. False: it ended early. */
static bool send_on(struct reader *reader, struct h1_reader *content, struct h1_writer *writer,
                    struct sink *sink)
{
    enum pump_result result;

    do {
        result = pump(content, writer, &reader->in, sink);
        if (result == PUMP_STARVED && !reader_more(reader) && !pump_end(content, writer))
            return false;
    } while (result == PUMP_STARVED || result == PUMP_BLOCKED);
    return result == PUMP_DONE;
}

static void send_talk(struct sink *sink, const struct terms *terms, struct span bytes)
{
    static struct reader reader;
    static char block[2 * BYTES_MAX + 1024];
    struct span head;
    enum cause cause;
    bool all = true;

    reader_open(&reader, terms, bytes);
    for (int i = 0; i < MESSAGES_MAX && all && read_head(&reader, &cause, &head) && cause == CAUSE_NONE;
         i++) {
        struct text text = text_over(block, sizeof(block));
        struct h1_reader content = {0};
        struct h1_writer writer = {.framing = send_head(terms, &reader.head, &text)};

        MUST(!text.overflow);
        writer.head = text_span(&text);
        h1_reader_open(&content, terms->responses, reader.head.framing, reader.head.content_length);
        all = send_on(&reader, &content, &writer, sink) && goes_on(&reader.head) &&
              writer.framing != HTTP1_UNTIL_CLOSE;
        h1_writer_fini(&writer);
    }
    arrival_free(&reader.arrival);
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static void check_same(const struct talk *a, const struct talk *b)
{
    MUST(a->count == b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct message *x = &a->messages[i], *y = &b->messages[i];

        MUST(x->cause == y->cause && x->code == y->code && x->method == y->method &&
             x->framing == y->framing);
        MUST(x->target == y->target && x->content == y->content && x->trailers == y->trailers);
        MUST(x->content_bytes == y->content_bytes && x->length == y->length);
        MUST(x->complete == y->complete && x->broken == y->broken);
    }
}

static enum http1_framing framing_sent(const struct message *message, const struct terms *terms)
{
    if (!terms->responses || message->framing == HTTP1_NO_CONTENT || message->framing == HTTP1_LENGTH)
        return message->framing;
    return terms->caller_minor == 0 ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED;
}

/* `after` is what the next reader finds of `before`. */
static void check_sent(const struct talk *before, const struct talk *after, const struct terms *terms)
{
    uint32_t sent = before->count;

    if (sent != 0 && before->messages[sent - 1].cause != CAUSE_NONE)
        sent--;
    /* For a caller of HTTP/1.0 the end of the connection is the end of the content. */
    for (uint32_t i = 0; i < sent; i++)
        if (framing_sent(&before->messages[i], terms) == HTTP1_UNTIL_CLOSE)
            sent = i + 1;
    /* Of content that is known to be broken together with its head, not even the head is sent. */
    if (after->count + 1 == sent && before->messages[sent - 1].broken)
        sent--;
    MUST(after->count == sent);
    for (uint32_t i = 0; i < sent; i++) {
        const struct message *x = &before->messages[i], *y = &after->messages[i];

        MUST(y->cause == CAUSE_NONE && !y->broken && y->framing == framing_sent(x, terms));
        MUST(x->code == y->code && x->method == y->method && x->target == y->target);
        MUST(y->framing == HTTP1_UNTIL_CLOSE || x->complete == y->complete);
        MUST(x->content == y->content && x->content_bytes == y->content_bytes && x->length == y->length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct talk whole, pieces, sent;
    static char block[32 * BYTES_MAX];
    struct input input = {data, len > BYTES_MAX ? BYTES_MAX : len};
    struct terms terms = {.seed = input_byte(&input)};
    uint8_t sink_seed = input_byte(&input), options = input_byte(&input);
    struct span bytes;
    struct sink sink;

    terms.heads = input_byte(&input);
    terms.responses = (options & RESPONSES) != 0;
    terms.caller_minor = (options & OLD_CALLER) != 0 ? 0 : 1;
    bytes = input_rest(&input);
    read_talk(&pieces, &terms, bytes);
    sink_init(&sink, block, sizeof(block), sink_seed);
    send_talk(&sink, &terms, bytes);
    terms.at_once = true;
    read_talk(&whole, &terms, bytes);
    check_same(&whole, &pieces);
    terms.at_once = (options & SENT_AT_ONCE) != 0;
    read_talk(&sent, &terms, text_span(&sink.text));
    check_sent(&whole, &sent, &terms);
    return 0;
}
