#include "http/http1.h"

#include "base/invariant.h"
#include "http/octet.h"

/*
 * Chunked content (RFC 9112 7.1) is read in units that are taken whole: a chunk line, the CRLF behind a
 * chunk's data, and the last chunk with the trailer section. Only data is taken in pieces. So nothing is kept
 * between two calls but the unit that is due.
 */
enum {
    CHUNK_LINE,
    CHUNK_DATA,
    CHUNK_DATA_END,
};

/* A size has at most 15 digits behind its zeros. */
#define SIZE_MAX_BEFORE_LAST_DIGIT ((UINT64_C(1) << 56) - 1)
/*
 * A chunk line of 16 bytes and two more for each byte of data are usual; the sum of what lies beyond is
 * bounded.
 */
#define OVERHEAD_FREE              16
#define OVERHEAD_MAX               16384

void http1_content_init(struct http1_content *content, bool is_response, enum http1_framing framing,
                        uint64_t length)
{
    *content = (struct http1_content){
        .framing = framing,
        .is_response = is_response,
        .state = CHUNK_LINE,
        .left = framing == HTTP1_LENGTH ? length : 0,
        .done = framing == HTTP1_NO_CONTENT || (framing == HTTP1_LENGTH && length == 0),
    };
}

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* CRLF at `at`; only if it is DONE, *next is behind it. */
static enum http1_status read_crlf(struct span bytes, size_t at, size_t *next)
{
    if (at == bytes.len)
        return HTTP1_MORE;
    if (bytes.ptr[at] != '\r')
        return HTTP1_BAD;
    if (at + 1 == bytes.len)
        return HTTP1_MORE;
    if (bytes.ptr[at + 1] != '\n')
        return HTTP1_BAD;
    *next = at + 2;
    return HTTP1_DONE;
}

/* Behind the hexadecimal digits at `at`, whose number is *size; `at` if there are none, or it is too large. */
static size_t read_size(struct span bytes, size_t at, uint64_t *size)
{
    size_t end = at;

    for (*size = 0; end < bytes.len && octet_is(bytes.ptr[end], OCTET_HEX); end++) {
        if (*size > SIZE_MAX_BEFORE_LAST_DIGIT)
            return at;
        *size = *size << 4 | hex_value(bytes.ptr[end]);
    }
    return end;
}

static size_t skip_blanks(struct span bytes, size_t at)
{
    while (at < bytes.len && (bytes.ptr[at] == ' ' || bytes.ptr[at] == '\t'))
        at++;
    return at;
}

/* The chunk line at `at`: *size, *next behind it, and if blanks end it without an extension. */
static enum http1_status read_chunk_line(struct span bytes, size_t at, uint64_t *size, size_t *next,
                                         bool *padded)
{
    size_t digits = read_size(bytes, at, size), end = skip_blanks(bytes, digits);

    *padded = false;
    if (digits == at && at != bytes.len)
        return HTTP1_BAD;
    if (end < bytes.len && bytes.ptr[end] == ';')
        end = octet_find_line_end(bytes, end);
    else
        *padded = end != digits;
    if (end - at > HTTP1_CHUNK_LINE_MAX)
        return HTTP1_BAD;
    return read_crlf(bytes, end, next);
}

/* The trailer section at `at` with the empty line behind it. */
static enum http1_status read_trailers(struct span bytes, size_t at, struct span *trailers, size_t *next)
{
    size_t line = at;
    struct span rest;
    struct http1_field field;
    bool bad;

    for (;;) {
        size_t end = octet_find_line_end(bytes, line);
        enum http1_status status = read_crlf(bytes, end, next);

        if (end - at > HTTP1_TRAILERS_MAX)
            return HTTP1_BAD;
        if (status != HTTP1_DONE)
            return status;
        if (end == line)
            break;
        line = *next;
    }
    rest = (struct span){bytes.ptr + at, line - at};
    while (http1_next_trailer(&rest, &field, &bad))
        ;
    if (bad)
        return HTTP1_BAD;
    *trailers = (struct span){bytes.ptr + at, line - at};
    POST(*next == line + 2 && *next <= bytes.len); /* behind the empty line */
    return HTTP1_DONE;
}

/* Small chunks under long lines cost far more than the content that they bring. */
static bool charge_overhead(struct http1_content *content, size_t line_bytes, uint64_t size)
{
    uint64_t usual = OVERHEAD_FREE + 2 * size, sum = content->overhead + line_bytes;

    PRE(content->overhead <= OVERHEAD_MAX && line_bytes <= HTTP1_CHUNK_LINE_MAX + 2);
    sum = sum > usual ? sum - usual : 0;
    content->overhead = (uint16_t)(sum > OVERHEAD_MAX ? OVERHEAD_MAX : sum);
    return sum <= OVERHEAD_MAX;
}

/* The chunk line at *at, or the last chunk with all that follows; DONE says that one was taken. */
static enum http1_status next_chunk(struct http1_content *content, struct span bytes, size_t *at,
                                    struct span *trailers)
{
    uint64_t size;
    size_t next;
    bool padded;
    enum http1_status status = read_chunk_line(bytes, *at, &size, &next, &padded);

    PRE(content->state == CHUNK_LINE && content->left == 0);
    if (status == HTTP1_DONE && padded && !content->is_response)
        return HTTP1_BAD;
    if (status == HTTP1_DONE && size == 0)
        status = read_trailers(bytes, next, trailers, &next);
    if (status != HTTP1_DONE)
        return status;
    if (size == 0)
        content->done = true;
    else if (!charge_overhead(content, next - *at, size))
        return HTTP1_BAD;
    content->odd |= padded;
    content->state = CHUNK_DATA;
    content->left = size;
    *at = next;
    return HTTP1_DONE;
}

/* Takes data of the content or of the chunk at *at. */
static void take_data(struct http1_content *content, struct span bytes, size_t *at, struct span *data)
{
    size_t available = bytes.len - *at;

    PRE(*at <= bytes.len);
    *data = (struct span){bytes.ptr + *at, content->left < available ? (size_t)content->left : available};
    *at += data->len;
    content->left -= data->len;
}

static enum http1_status next_chunked(struct http1_content *content, struct span bytes, size_t *used,
                                      struct span *data, struct span *trailers)
{
    enum http1_status status = HTTP1_DONE;

    while (status == HTTP1_DONE && !content->done) {
        switch (content->state) {
        case CHUNK_DATA:
            if (data->len != 0)
                return HTTP1_MORE;
            take_data(content, bytes, used, data);
            if (content->left != 0)
                return HTTP1_MORE;
            content->state = CHUNK_DATA_END;
            break;
        case CHUNK_DATA_END:
            status = read_crlf(bytes, *used, used);
            if (status == HTTP1_DONE)
                content->state = CHUNK_LINE;
            break;
        default: status = next_chunk(content, bytes, used, trailers); break;
        }
    }
    POST(*used <= bytes.len && data->len <= *used);
    /* What came before a fault is handed out first: it would have been, had it come alone. */
    return status == HTTP1_BAD && *used != 0 ? HTTP1_MORE : status;
}

enum http1_status http1_content_next(struct http1_content *content, struct span bytes, size_t *used,
                                     struct span *data, struct span *trailers)
{
    *used = 0;
    *data = *trailers = (struct span){bytes.ptr, 0};
    if (content->done)
        return HTTP1_DONE;
    if (bytes.len == 0)
        return HTTP1_MORE;
    if (content->framing == HTTP1_CHUNKED)
        return next_chunked(content, bytes, used, data, trailers);
    if (content->framing == HTTP1_UNTIL_CLOSE)
        content->left = bytes.len;
    take_data(content, bytes, used, data);
    if (content->framing == HTTP1_UNTIL_CLOSE)
        return HTTP1_MORE;
    content->done = content->left == 0;
    return content->done ? HTTP1_DONE : HTTP1_MORE;
}
