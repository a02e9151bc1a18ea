/* Content in all its framings, and whole messages under every split into reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "http/http1.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a reader of a message has in the end. */
struct reading {
    enum http1_status status;
    size_t used; /* bytes up to the end of the content */
    struct text data, trailers;
    char data_block[70000], trailers_block[16384];
};

static void start_reading(struct reading *reading)
{
    reading->status = HTTP1_MORE;
    reading->used = 0;
    reading->data = text_over(reading->data_block, sizeof(reading->data_block));
    reading->trailers = text_over(reading->trailers_block, sizeof(reading->trailers_block));
}

/* Takes all that can be taken of the `have` bytes, from a block that ends where they end. */
static void read_on(struct reading *reading, struct http1_content *content, struct span bytes, size_t have)
{
    size_t used;

    do {
        size_t len = have - reading->used;
        char *block = malloc(len + 1);
        struct span data, trailers;

        assert_non_null(block);
        memcpy(block, bytes.ptr + reading->used, len);
        reading->status = http1_content_next(content, (struct span){block, len}, &used, &data, &trailers);
        assert_true(used <= len);
        text_put(&reading->data, data);
        text_put(&reading->trailers, trailers);
        free(block);
        reading->used += used;
    } while (reading->status == HTTP1_MORE && used != 0 && reading->used < have);
    assert_false(reading->data.overflow || reading->trailers.overflow);
}

static void read_in_steps(struct reading *reading, struct http1_content content, struct span bytes,
                          size_t first, size_t step)
{
    size_t have = first;

    start_reading(reading);
    for (;;) {
        read_on(reading, &content, bytes, have);
        if (reading->status != HTTP1_MORE || have == bytes.len)
            return;
        have = bytes.len - have < step ? bytes.len : have + step;
    }
}

static struct http1_content chunked(void)
{
    struct http1_content content;

    http1_content_init(&content, false, HTTP1_CHUNKED, 0);
    return content;
}

static struct http1_content chunked_response(void)
{
    struct http1_content content;

    http1_content_init(&content, true, HTTP1_CHUNKED, 0);
    return content;
}

static enum http1_status read_chunked(struct reading *reading, struct span bytes)
{
    read_in_steps(reading, chunked(), bytes, bytes.len, 1);
    return reading->status;
}

static struct reading whole, split;

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static const struct {
    struct span bytes;
    enum http1_status status;
    const char *data, *trailers;
    size_t left; /* bytes that belong to the next message */
} chunks[] = {
    {SPAN_LIT("0\r\n\r\n"), HTTP1_DONE, "", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0\r\n\r\n"), HTTP1_DONE, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0\r\n\r\nGET /"), HTTP1_DONE, "hello", "", 5},
    {SPAN_LIT("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n"), HTTP1_DONE, "hello world", "", 0},
    {SPAN_LIT("00A\r\n0123456789\r\n0\r\n\r\n"), HTTP1_DONE, "0123456789", "", 0},
    {SPAN_LIT("a\r\n0\r\n\r\n67890\r\n0\r\n\r\n"), HTTP1_DONE, "0\r\n\r\n67890", "", 0},
    {SPAN_LIT("5;a=b;c=\"d;\xc3\xa9\"\r\nhello\r\n0;x\r\n\r\n"), HTTP1_DONE, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0\r\nA: b\r\nC:\td\r\n\r\nX"), HTTP1_DONE, "hello", "A: b\r\nC:\td\r\n", 1},
    {SPAN_LIT(""), HTTP1_MORE, "", "", 0},
    {SPAN_LIT("5"), HTTP1_MORE, "", "", 0},
    {SPAN_LIT("5\r\nhel"), HTTP1_MORE, "hel", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0\r\n"), HTTP1_MORE, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0\r\nA: b\r\n"), HTTP1_MORE, "hello", "", 0},
    {SPAN_LIT("\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT(";a\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("+5\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("-5\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT(" 5\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5 \r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5\t\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0 \r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5 0\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5 a;b\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("\t5\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0 0\r\n\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5 ;a\r\nhello\r\n0\t; b = \"c ; d\"\r\n\r\n"), HTTP1_DONE, "hello", "", 0},
    {SPAN_LIT("00000000000000000000000000000005 \t ; a=b ;c\r\nhello\r\n00\r\n\r\n"), HTTP1_DONE, "hello", "",
     0},
    {SPAN_LIT("0x5\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5g\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5_0\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5\rhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5;a\nb\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5;a\rb\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5;\0\r\nhello\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("5\r\nhello!\r\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r0\r\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\r\r\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\r\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\rX\r\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\r\r\r\r\n0\r\n\r\n"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("5\r\nhello\r\n0\r\rX"), HTTP1_BAD, "hello", "", 0},
    {SPAN_LIT("0\r\n\rX\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0\r\nA: b\rX\r\n\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0\r\nA : b\r\n\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0\r\nA: b\r\n c\r\n\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0\r\nno colon\r\n\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0\r\nA: b\n\r\n"), HTTP1_BAD, "", "", 0},
    {SPAN_LIT("0\r\n\n"), HTTP1_BAD, "", "", 0},
};

static void chunked_content_is_decoded_and_its_faults_are_found(void **state)
{
    for (size_t i = 0; i < COUNT(chunks); i++) {
        print_message("case %zu\n", i);
        assert_int_equal(read_chunked(&whole, chunks[i].bytes), chunks[i].status);
        assert_true(span_eq(text_span(&whole.data), span_of(chunks[i].data)));
        assert_true(span_eq(text_span(&whole.trailers), span_of(chunks[i].trailers)));
        if (whole.status == HTTP1_DONE)
            assert_int_equal(whole.used + chunks[i].left, chunks[i].bytes.len);
    }
}

static void assert_same_reading(const struct reading *a, const struct reading *b)
{
    assert_int_equal(a->status, b->status);
    assert_true(span_eq(text_span(&a->data), text_span(&b->data)));
    assert_true(span_eq(text_span(&a->trailers), text_span(&b->trailers)));
    if (a->status == HTTP1_DONE)
        assert_int_equal(a->used, b->used);
}

static void any_split_into_reads_gives_the_same_content(void **state)
{
    for (size_t i = 0; i < COUNT(chunks); i++) {
        read_chunked(&whole, chunks[i].bytes);
        for (size_t first = 0; first <= chunks[i].bytes.len; first++) {
            read_in_steps(&split, chunked(), chunks[i].bytes, first, chunks[i].bytes.len);
            assert_same_reading(&whole, &split);
            read_in_steps(&split, chunked(), chunks[i].bytes, first, 1);
            assert_same_reading(&whole, &split);
        }
    }
}

static void a_whole_short_message_takes_one_call(void **state)
{
    struct http1_content content = chunked();
    struct span bytes = SPAN_LIT("5\r\nhello\r\n0\r\nA: b\r\n\r\nnext"), data, trailers;
    size_t used;

    assert_int_equal(http1_content_next(&content, bytes, &used, &data, &trailers), HTTP1_DONE);
    assert_int_equal(used, bytes.len - 4);
    assert_true(span_eq(data, SPAN_LIT("hello")));
    assert_true(span_eq(trailers, SPAN_LIT("A: b\r\n")));
    assert_int_equal(http1_content_next(&content, SPAN_LIT("next"), &used, &data, &trailers), HTTP1_DONE);
    assert_int_equal(used, 0);
}

static void data_is_handed_out_as_large_as_it_came(void **state)
{
    static char block[65536] = "10000\r\n"; /* a chunk of 65536 bytes, all but the last 7 */
    struct http1_content content = chunked();
    struct span data, trailers;
    size_t used;

    assert_int_equal(
        http1_content_next(&content, (struct span){block, sizeof(block)}, &used, &data, &trailers),
        HTTP1_MORE);
    assert_int_equal(used, sizeof(block));
    assert_int_equal(data.len, sizeof(block) - 7);
    assert_int_equal(http1_content_next(&content, SPAN_LIT("0123456\r\n0\r\n\r\n"), &used, &data, &trailers),
                     HTTP1_DONE);
    assert_int_equal(data.len, 7);
}

static void a_last_chunk_waits_for_its_trailers_and_is_left_in_the_bytes(void **state)
{
    struct http1_content content = chunked();
    struct span data, trailers;
    size_t used;

    assert_int_equal(
        http1_content_next(&content, SPAN_LIT("1\r\nx\r\n0\r\nA: b\r\n"), &used, &data, &trailers),
        HTTP1_MORE);
    assert_int_equal(used, 6);
    assert_int_equal(http1_content_next(&content, SPAN_LIT("0\r\nA: b\r\n"), &used, &data, &trailers),
                     HTTP1_MORE);
    assert_int_equal(used, 0);
    assert_int_equal(http1_content_next(&content, SPAN_LIT("0\r\nA: b\r\n\r\n"), &used, &data, &trailers),
                     HTTP1_DONE);
    assert_int_equal(used, 11);
}

/* One reading, though not as the grammar has it: only a response's, and whoever asks is told. */
static void blanks_behind_a_size_are_taken_in_a_response_and_are_odd(void **state)
{
    static const struct {
        struct span bytes;
        enum http1_status status;
        bool odd;
    } lines[] = {
        {SPAN_LIT("5 \r\nhello\r\n0\r\n\r\n"), HTTP1_DONE, true},
        {SPAN_LIT("5 \t  \r\nhello\r\n0   \r\n\r\n"), HTTP1_DONE, true},
        {SPAN_LIT("5\r\nhello\r\n0     \r\nA: b\r\n\r\n"), HTTP1_DONE, true},
        {SPAN_LIT("5\t;a\r\nhello\r\n0 ;b\r\n\r\n"), HTTP1_DONE, false},
        {SPAN_LIT("0005\r\nhello\r\n0\r\n\r\n"), HTTP1_DONE, false},
        {SPAN_LIT("5 0\r\nhello\r\n0\r\n\r\n"), HTTP1_BAD, false},
        {SPAN_LIT("5 x\r\nhello\r\n0\r\n\r\n"), HTTP1_BAD, false},
        {SPAN_LIT(" 5\r\nhello\r\n0\r\n\r\n"), HTTP1_BAD, false},
        {SPAN_LIT("5 \nhello\r\n0\r\n\r\n"), HTTP1_BAD, false},
        {SPAN_LIT("5 \rX"), HTTP1_BAD, false},
        {SPAN_LIT(" \r\n"), HTTP1_BAD, false},
        {SPAN_LIT("5 "), HTTP1_MORE, false},
    };

    for (size_t i = 0; i < COUNT(lines); i++) {
        struct span bytes = lines[i].bytes;

        print_message("case %zu\n", i);
        for (size_t first = bytes.len; first > 0; first--) {
            struct http1_content content = chunked_response();

            start_reading(&whole);
            read_on(&whole, &content, bytes, first);
            if (whole.status == HTTP1_MORE && first < bytes.len)
                read_on(&whole, &content, bytes, bytes.len);
            assert_int_equal(whole.status, lines[i].status);
            if (whole.status == HTTP1_DONE)
                assert_true(span_eq(text_span(&whole.data), SPAN_LIT("hello")));
            if (whole.status != HTTP1_BAD)
                assert_int_equal(content.odd, lines[i].odd);
        }
    }
}

static void a_chunk_size_has_up_to_15_digits_behind_its_zeros(void **state)
{
    assert_int_equal(read_chunked(&whole, SPAN_LIT("000000000000001\r\nx\r\n0\r\n\r\n")), HTTP1_DONE);
    assert_int_equal(read_chunked(&whole, SPAN_LIT("0000000000000001\r\nx\r\n0\r\n\r\n")), HTTP1_DONE);
    assert_int_equal(read_chunked(&whole, SPAN_LIT("fffffffffffffff\r\nx")), HTTP1_MORE);
    assert_int_equal(read_chunked(&whole, SPAN_LIT("00fffffffffffffff\r\nx")), HTTP1_MORE);
    assert_int_equal(read_chunked(&whole, SPAN_LIT("ffffffffffffffff")), HTTP1_BAD);
    assert_int_equal(read_chunked(&whole, SPAN_LIT("001000000000000000")), HTTP1_BAD);
    assert_int_equal(read_chunked(&whole, SPAN_LIT("10000000000000001\r\nx\r\n0\r\n\r\n")), HTTP1_BAD);
}

/* `line`, made `len` bytes long by what stands in its middle, then a byte of data and the end. */
static struct span with_line_of(const char *before, char filling, const char *after, size_t len)
{
    static char block[2 * HTTP1_CHUNK_LINE_MAX];
    struct text text = text_over(block, sizeof(block));

    text_put(&text, span_of(before));
    memset(block + text.len, filling, len - text.len - strlen(after));
    text.len = len - strlen(after);
    text_put(&text, span_of(after));
    TEXT_LIT(&text, "\r\nx\r\n0\r\n\r\n");
    assert_false(text.overflow);
    return text_span(&text);
}

static void a_chunk_line_is_bounded_whatever_it_is_filled_with(void **state)
{
    static const struct {
        const char *before, *after;
        char filling;
    } lines[] = {{"1;", "", 'x'}, {"", "1", '0'}, {"1", ";a", ' '}};

    for (size_t i = 0; i < COUNT(lines); i++) {
        struct span line =
            with_line_of(lines[i].before, lines[i].filling, lines[i].after, HTTP1_CHUNK_LINE_MAX);

        assert_int_equal(read_chunked(&whole, line), HTTP1_DONE);
        read_in_steps(&split, chunked(), line, HTTP1_CHUNK_LINE_MAX - 2, 1);
        assert_same_reading(&whole, &split);
        line = with_line_of(lines[i].before, lines[i].filling, lines[i].after, HTTP1_CHUNK_LINE_MAX + 1);
        assert_int_equal(read_chunked(&whole, line), HTTP1_BAD);
        line.len = HTTP1_CHUNK_LINE_MAX + 1;
        read_in_steps(&split, chunked(), line, HTTP1_CHUNK_LINE_MAX - 2, 1);
        assert_int_equal(split.status, HTTP1_BAD);
    }
}

/* `count` chunks of the same kind; the status behind them. */
static enum http1_status read_many(struct span chunk, unsigned count)
{
    struct http1_content content = chunked();
    enum http1_status status = HTTP1_MORE;

    for (unsigned i = 0; i < count && status == HTTP1_MORE; i++) {
        struct span data, trailers, rest = chunk;
        size_t used;

        do {
            status = http1_content_next(&content, rest, &used, &data, &trailers);
            rest.ptr += used;
            rest.len -= used;
        } while (status == HTTP1_MORE && rest.len != 0);
    }
    return status;
}

static void extensions_may_not_outweigh_the_data_for_long(void **state)
{
    assert_int_equal(read_many(SPAN_LIT("1\r\nx\r\n"), 100000), HTTP1_MORE);
    assert_int_equal(read_many(SPAN_LIT("1;a=b\r\nx\r\n"), 100000), HTTP1_MORE);
    assert_int_equal(read_many(SPAN_LIT("1;" X64 "\r\nx\r\n"), 300), HTTP1_MORE);
    assert_int_equal(read_many(SPAN_LIT("1;" X64 "\r\nx\r\n"), 1000), HTTP1_BAD);
    assert_int_equal(read_many(SPAN_LIT("40;" X64 "\r\n" X64 "\r\n"), 100000), HTTP1_MORE);
}

/* A trailer section of `len` bytes: one long field line behind short ones. */
static struct span trailer_section(char *block, size_t cap, size_t len)
{
    struct text text = text_over(block, cap);

    TEXT_LIT(&text, "0\r\n");
    while (text.len + 200 < len + 3)
        TEXT_LIT(&text, "A: " X64 "\r\n");
    TEXT_LIT(&text, "B:");
    while (text.len + 2 < len + 3)
        TEXT_LIT(&text, "x");
    TEXT_LIT(&text, "\r\n\r\n");
    assert_false(text.overflow);
    return text_span(&text);
}

static void trailers_are_bounded_whole_or_not(void **state)
{
    static char block[16384];
    struct span fits = trailer_section(block, sizeof(block), HTTP1_TRAILERS_MAX), larger;

    assert_int_equal(read_chunked(&whole, fits), HTTP1_DONE);
    assert_int_equal(whole.trailers.len, HTTP1_TRAILERS_MAX);
    read_in_steps(&split, chunked(), fits, fits.len - 2, 1);
    assert_same_reading(&whole, &split);
    for (size_t more = 1; more < 4; more++) {
        larger = trailer_section(block, sizeof(block), HTTP1_TRAILERS_MAX + more);
        assert_int_equal(read_chunked(&whole, larger), HTTP1_BAD);
        read_in_steps(&split, chunked(), larger, larger.len - 2, 1);
        assert_int_equal(split.status, HTTP1_BAD);
    }
    assert_int_equal(read_chunked(&whole, (struct span){block, HTTP1_TRAILERS_MAX + 100}), HTTP1_BAD);
}

static void content_of_known_length_ends_by_itself(void **state)
{
    struct http1_content content;

    http1_content_init(&content, false, HTTP1_LENGTH, 5);
    read_in_steps(&whole, content, SPAN_LIT("helloGET /"), 10, 1);
    assert_int_equal(whole.status, HTTP1_DONE);
    assert_int_equal(whole.used, 5);
    assert_true(span_eq(text_span(&whole.data), SPAN_LIT("hello")));
    for (size_t first = 0; first <= 10; first++) {
        read_in_steps(&split, content, SPAN_LIT("helloGET /"), first, 1);
        assert_same_reading(&whole, &split);
    }
    read_in_steps(&whole, content, SPAN_LIT("hell"), 4, 1);
    assert_int_equal(whole.status, HTTP1_MORE);
}

static void no_content_is_done_at_once(void **state)
{
    static const enum http1_framing framings[] = {HTTP1_NO_CONTENT, HTTP1_LENGTH};

    for (size_t i = 0; i < COUNT(framings); i++) {
        struct http1_content content;

        http1_content_init(&content, false, framings[i], 0);
        assert_true(content.done);
        read_in_steps(&whole, content, SPAN_LIT("GET /"), 5, 1);
        assert_int_equal(whole.status, HTTP1_DONE);
        assert_int_equal(whole.used, 0);
    }
}

static void content_until_close_never_ends_by_itself(void **state)
{
    struct http1_content content;

    http1_content_init(&content, false, HTTP1_UNTIL_CLOSE, 0);
    read_in_steps(&whole, content, SPAN_LIT("0\r\n\r\n"), 2, 1);
    assert_int_equal(whole.status, HTTP1_MORE);
    assert_true(span_eq(text_span(&whole.data), SPAN_LIT("0\r\n\r\n")));
}

/* What became of a whole message, read from a connection. */
struct message {
    enum http1_status head;
    enum cause cause;
    enum http1_framing framing;
    uint64_t length;
    struct reading content;
};

static const struct span messages[] = {
    SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n"),
    SPAN_LIT("\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nX: \t y\r\n\r\nhello world"),
    SPAN_LIT(
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: u\r\n\r\n"),
    SPAN_LIT("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nz\r\n"),
    SPAN_LIT("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"),
    SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\nA: b\n\r\n"),
    SPAN_LIT("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    SPAN_LIT("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
};

static void read_message(struct message *message, struct span bytes, size_t first, size_t step)
{
    static struct http1_field fields[64];
    static struct http1_head parsed = HTTP1_HEAD_OVER(fields);
    struct http1_scan scan = {0};
    struct http1_content content;
    const char *detail;
    struct span head;
    size_t have = first, end;

    message->cause = CAUSE_NONE;
    start_reading(&message->content);
    while ((message->head = http1_scan(&scan, (struct span){bytes.ptr, have}, &head, &end)) == HTTP1_MORE &&
           have < bytes.len)
        have = bytes.len - have < step ? bytes.len : have + step;
    if (message->head != HTTP1_DONE)
        return;
    message->cause = http1_parse_request(head, &parsed, &detail);
    if (message->cause != CAUSE_NONE)
        return;
    message->framing = parsed.framing;
    message->length = parsed.content_length;
    http1_content_init(&content, false, parsed.framing, parsed.content_length);
    read_in_steps(&message->content, content, (struct span){bytes.ptr + end, bytes.len - end}, have - end,
                  step);
}

static void any_split_into_reads_gives_the_same_message(void **state)
{
    static struct message at_once, in_parts;

    for (size_t i = 0; i < COUNT(messages); i++) {
        read_message(&at_once, messages[i], messages[i].len, 1);
        for (size_t first = 0; first <= messages[i].len; first++) {
            for (size_t step = 1; step <= 3; step++) {
                read_message(&in_parts, messages[i], first, step == 3 ? messages[i].len : step);
                assert_int_equal(in_parts.head, at_once.head);
                assert_int_equal(in_parts.cause, at_once.cause);
                assert_int_equal(in_parts.framing, at_once.framing);
                assert_int_equal(in_parts.length, at_once.length);
                assert_same_reading(&at_once.content, &in_parts.content);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_content_is_decoded_and_its_faults_are_found),
        cmocka_unit_test(any_split_into_reads_gives_the_same_content),
        cmocka_unit_test(a_whole_short_message_takes_one_call),
        cmocka_unit_test(data_is_handed_out_as_large_as_it_came),
        cmocka_unit_test(a_last_chunk_waits_for_its_trailers_and_is_left_in_the_bytes),
        cmocka_unit_test(blanks_behind_a_size_are_taken_in_a_response_and_are_odd),
        cmocka_unit_test(a_chunk_size_has_up_to_15_digits_behind_its_zeros),
        cmocka_unit_test(a_chunk_line_is_bounded_whatever_it_is_filled_with),
        cmocka_unit_test(extensions_may_not_outweigh_the_data_for_long),
        cmocka_unit_test(trailers_are_bounded_whole_or_not),
        cmocka_unit_test(content_of_known_length_ends_by_itself),
        cmocka_unit_test(no_content_is_done_at_once),
        cmocka_unit_test(content_until_close_never_ends_by_itself),
        cmocka_unit_test(any_split_into_reads_gives_the_same_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
