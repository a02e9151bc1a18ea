/*
 * Content in each framing: decoding it (http1_content_next), and moving it on in another one (h1_reader and
 * h1_writer, with what the sink takes up to the input).
 *
 * Input: a byte for how the content arrives, one for how the sink takes it, one for the framings (bits of enum
 * option; the rest is the length, if it is LENGTH, else whether it is a response's), the content.
 */
#include "http/forward.h"
#include "sink.h"

enum option { BY_LENGTH = 1, BY_CLOSE = 2, TO_CLOSE = 4, OF_RESPONSE = 8, LENGTH_SHIFT = 3 };

#define BYTES_MAX 16384

/* How content is read to the end of what there is. */
struct reading {
    enum http1_status status;
    size_t used;
    bool odd;
    struct text data, trailers;
};

static void start_reading(struct reading *reading, char *data, char *trailers)
{
    *reading =
        (struct reading){.data = text_over(data, BYTES_MAX), .trailers = text_over(trailers, BYTES_MAX)};
    reading->status = HTTP1_MORE;
}

static void read_on(struct reading *reading, struct http1_content *content, const char *bytes, size_t have)
{
    size_t used;

    do {
        struct span rest = {bytes + reading->used, have - reading->used}, data, trailers;

        reading->status = http1_content_next(content, rest, &used, &data, &trailers);
        MUST(used <= rest.len && data.len <= used && trailers.len <= used);
        MUST(data.len == 0 || (data.ptr >= rest.ptr && data.ptr + data.len <= rest.ptr + used));
        MUST(reading->status == HTTP1_DONE || trailers.len == 0);
        MUST((reading->status == HTTP1_DONE) == content->done);
        MUST(reading->status != HTTP1_BAD || (used == 0 && data.len == 0));
        text_put(&reading->data, data);
        text_put(&reading->trailers, trailers);
        reading->used += used;
        reading->odd = content->odd;
    } while (reading->status == HTTP1_MORE && used != 0 && reading->used < have);
    MUST(!reading->data.overflow && !reading->trailers.overflow);
}

static void read_in_pieces(struct reading *reading, struct http1_content content, struct span bytes,
                           uint8_t seed)
{
    struct arrival arrival = arrival_of(bytes, seed);

    while (reading->status == HTTP1_MORE && arrival_more(&arrival))
        read_on(reading, &content, arrival.block, arrival.have);
    arrival_free(&arrival);
}

static void check_same(const struct reading *a, const struct reading *b)
{
    MUST(a->status == b->status && a->used == b->used && a->odd == b->odd);
    MUST(span_eq(text_span(&a->data), text_span(&b->data)));
    MUST(span_eq(text_span(&a->trailers), text_span(&b->trailers)));
}

static size_t chunk_size(const char *at)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *digit;
    size_t size = 0;

    while ((digit = memchr(digits, *at++, sizeof(digits) - 1)) != NULL)
        size = size * 16 + (size_t)(digit - digits) % 16;
    return size;
}

static size_t behind_line(struct span bytes, size_t at)
{
    const char *end = memchr(bytes.ptr + at, '\n', bytes.len - at);

    MUST(end != NULL);
    return (size_t)(end - bytes.ptr) + 1;
}

/* The line of a chunk at `at` has blanks behind its size and no extension. */
static bool is_padded(struct span bytes, size_t at)
{
    const char *end = memchr(bytes.ptr + at, '\r', bytes.len - at);

    return end[-1] <= ' ' && memchr(bytes.ptr + at, ';', (size_t)(end - bytes.ptr) - at) == NULL;
}

/* RFC 9112 7.1.3, the pseudo-code, taking for granted that the content is sound. False: it does not say the same. */
static bool is_decoded_so(struct span bytes, const struct reading *reading)
{
    size_t at = 0, out = 0, size;
    bool odd = false;

    while ((size = chunk_size(bytes.ptr + at)) != 0) {
        odd |= is_padded(bytes, at);
        at = behind_line(bytes, at);
        if (size > reading->data.len - out || memcmp(reading->data.ptr + out, bytes.ptr + at, size) != 0)
            return false;
        out += size;
        at += size + 2;
    }
    odd |= is_padded(bytes, at);
    at = behind_line(bytes, at);
    return out == reading->data.len && odd == reading->odd &&
           span_eq(text_span(&reading->trailers), (struct span){bytes.ptr + at, reading->used - 2 - at});
}

static void check_reading(const struct reading *reading, const struct http1_content *terms, uint64_t length,
                          struct span bytes)
{
    enum http1_framing framing = terms->framing;

    MUST(!reading->odd || terms->is_response);
    if (framing == HTTP1_CHUNKED) {
        MUST(reading->status != HTTP1_DONE || is_decoded_so(bytes, reading));
        return;
    }
    MUST(reading->status != HTTP1_BAD && reading->trailers.len == 0);
    MUST(span_eq(text_span(&reading->data), (struct span){bytes.ptr, reading->used}));
    if (framing == HTTP1_LENGTH)
        MUST(reading->used == (bytes.len < length ? bytes.len : length) &&
             (reading->status == HTTP1_DONE) == (bytes.len >= length));
    else
        MUST(reading->status == HTTP1_MORE && reading->used == bytes.len);
}

/* ---- on to the sink ------------------------------------------------------------------------------------ */

/* h1_reader_has_all and h1_reader_discard, asked of a copy, must see what a reading of all has seen. */
static void check_foresight(const struct h1_reader *reader, const struct source *source,
                            const struct reading *whole)
{
    struct h1_reader copy = *reader;
    struct h1_rest rest;
    bool complete = h1_reader_has_all(reader, source_span(source), &rest);
    size_t gone = h1_reader_discard(&copy, source_span(source));

    MUST(complete == (whole->status == HTTP1_DONE && source->end >= whole->used));
    MUST(complete == copy.ended);
    if (!complete)
        return;
    MUST(rest.extra == source->end - whole->used && rest.odd == whole->odd);
    MUST(source->start + gone == whole->used);
}

static enum pump_result pump_all(struct h1_reader *reader, struct h1_writer *writer, struct sink *sink,
                                 struct span bytes, uint8_t seed, const struct reading *whole)
{
    struct arrival arrival = arrival_of(bytes, seed);
    struct source source = {.data = arrival.block};
    enum pump_result result;

    do {
        result = pump(reader, writer, &source, sink);
        MUST(source.start <= source.end);
        if (result != PUMP_BROKEN)
            check_foresight(reader, &source, whole);
        if (result == PUMP_STARVED && !arrival_more(&arrival))
            break;
        source.end = arrival.have;
    } while (result == PUMP_STARVED || result == PUMP_BLOCKED);
    if (result == PUMP_STARVED && pump_end(reader, writer)) {
        while ((result = pump(reader, writer, &source, sink)) == PUMP_BLOCKED)
            ;
    }
    MUST(result != PUMP_DONE || source.start == whole->used);
    arrival_free(&arrival);
    return result;
}

/* Is what the sink has the same content, in the sink's framing, and only then complete? */
static void check_sink(struct span sunk, enum http1_framing to, uint64_t length, const struct reading *whole,
                       bool complete)
{
    static char data[BYTES_MAX], trailers[BYTES_MAX], kept_block[BYTES_MAX];
    struct text kept = text_over(kept_block, sizeof(kept_block));
    struct http1_content content;
    struct reading reading;

    http1_content_init(&content, false, to, length);
    start_reading(&reading, data, trailers);
    reading.status = content.done ? HTTP1_DONE : HTTP1_MORE;
    if (sunk.len != 0)
        read_on(&reading, &content, sunk.ptr, sunk.len);
    MUST(reading.status == (complete && to != HTTP1_UNTIL_CLOSE ? HTTP1_DONE : HTTP1_MORE));
    MUST(span_eq(text_span(&reading.data), text_span(&whole->data)));
    if (to != HTTP1_CHUNKED || !complete)
        return;
    forward_trailers(&kept, text_span(&whole->trailers), NULL);
    MUST(reading.used == sunk.len && span_eq(text_span(&reading.trailers), text_span(&kept)));
}

static void move_on(const struct reading *whole, const struct http1_content *terms, uint64_t length,
                    struct span bytes, uint8_t seed, uint8_t sink_seed, enum http1_framing to)
{
    /* A chunk a byte is the worst: five bytes for one more. */
    static char block[8 * BYTES_MAX];
    enum http1_framing from = terms->framing;
    struct sink sink;
    struct h1_reader reader = {0};
    struct h1_writer writer = {.framing = to};
    enum pump_result result;

    sink_init(&sink, block, sizeof(block), sink_seed);
    h1_reader_open(&reader, terms->is_response, from, length);
    result = pump_all(&reader, &writer, &sink, bytes, seed, whole);
    if (from == HTTP1_UNTIL_CLOSE || whole->status == HTTP1_DONE)
        MUST(result == PUMP_DONE);
    else
        MUST(result == (whole->status == HTTP1_BAD ? PUMP_BROKEN : PUMP_STARVED));
    MUST(reader.content_bytes == whole->data.len);
    check_sink(text_span(&sink.text), to, length, whole, result == PUMP_DONE);
    h1_writer_fini(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static char data[2][BYTES_MAX], trailers[2][BYTES_MAX];
    struct input input = {bytes, len > BYTES_MAX ? BYTES_MAX : len};
    uint8_t seed = input_byte(&input), sink_seed = input_byte(&input), options = input_byte(&input);
    struct span content_bytes = input_rest(&input);
    enum http1_framing from = (options & BY_LENGTH) != 0  ? HTTP1_LENGTH
                              : (options & BY_CLOSE) != 0 ? HTTP1_UNTIL_CLOSE
                                                          : HTTP1_CHUNKED;
    uint64_t length = from == HTTP1_LENGTH ? options >> LENGTH_SHIFT : 0;
    struct reading whole, pieces;
    struct http1_content content, terms;

    http1_content_init(&content, from == HTTP1_CHUNKED && (options & OF_RESPONSE) != 0, from, length);
    start_reading(&whole, data[0], trailers[0]);
    start_reading(&pieces, data[1], trailers[1]);
    whole.status = pieces.status = content.done ? HTTP1_DONE : HTTP1_MORE;
    read_in_pieces(&pieces, content, content_bytes, seed);
    terms = content;
    if (!content.done && content_bytes.len != 0)
        read_on(&whole, &content, content_bytes.ptr, content_bytes.len);
    check_same(&whole, &pieces);
    check_reading(&whole, &terms, length, content_bytes);
    if (from == HTTP1_LENGTH && (options & TO_CLOSE) == 0)
        move_on(&whole, &terms, length, content_bytes, seed, sink_seed, HTTP1_LENGTH);
    else
        move_on(&whole, &terms, length, content_bytes, seed, sink_seed,
                (options & TO_CLOSE) != 0 ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED);
    return 0;
}
