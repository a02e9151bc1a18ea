#include "http/h1_reader.h"

#include <string.h>

/* A piece that is no larger is moved next to the one before. */
#define JOIN_MAX 4096u

void h1_reader_open(struct h1_reader *reader, bool is_response, enum http1_framing framing, uint64_t length)
{
    http1_content_init(&reader->content, is_response, framing, length);
    reader->open = true;
    reader->ended = reader->content.done;
}

static struct span undecoded(const struct h1_reader *reader, struct span bytes)
{
    size_t decoded = (size_t)reader->gap + reader->data + reader->skip;

    return (struct span){bytes.ptr + decoded, bytes.len - decoded};
}

/*
 * The content stays where it lies; the framing around it is passed over. What follows content that has not been taken
 * is moved up to it.
 */
static void add_piece(struct h1_reader *reader, struct span bytes, struct span piece, size_t used)
{
    char *start = (char *)(uintptr_t)bytes.ptr + reader->gap;

    if (reader->data == 0) {
        size_t before = piece.len != 0 ? (size_t)(piece.ptr - start) : used;

        reader->gap += (uint32_t)before;
        used -= before;
    } else if (piece.len != 0) {
        memmove(start + reader->data, piece.ptr, piece.len);
    }
    reader->data += (uint32_t)piece.len;
    reader->skip += (uint32_t)(used - piece.len);
    reader->content_bytes += piece.len;
}

enum http1_status h1_reader_decode(struct h1_reader *reader, struct span bytes, struct span *trailers)
{
    struct http1_content content = reader->content;
    struct span rest = undecoded(reader, bytes), piece, section;
    enum http1_status status;
    size_t used;

    if (rest.len == 0)
        return HTTP1_DONE;
    status = http1_content_next(&content, rest, &used, &piece, &section);
    if (reader->data != 0 && (status == HTTP1_BAD || piece.len > JOIN_MAX))
        return HTTP1_DONE;
    if (status == HTTP1_BAD)
        return HTTP1_BAD;
    if (status == HTTP1_DONE)
        *trailers = section;
    reader->content = content;
    reader->ended = status == HTTP1_DONE;
    add_piece(reader, bytes, piece, used);
    return used != 0 && !reader->ended ? HTTP1_MORE : HTTP1_DONE;
}

/* Passes over the content that is whole in *rest. BAD: what is left of it begins with the fault. */
static enum http1_status look_ahead(struct http1_content *content, struct span *rest)
{
    enum http1_status status = HTTP1_MORE;
    struct span data, trailers;
    size_t used = 1;

    while (status == HTTP1_MORE && used != 0 && rest->len != 0) {
        status = http1_content_next(content, *rest, &used, &data, &trailers);
        if (status == HTTP1_BAD)
            break;
        rest->ptr += used;
        rest->len -= used;
    }
    return status;
}

bool h1_reader_end(struct h1_reader *reader)
{
    if (reader->open && reader->content.framing == HTTP1_UNTIL_CLOSE)
        reader->ended = true;
    return reader->ended;
}

size_t h1_reader_discard(struct h1_reader *reader, struct span bytes)
{
    size_t before = bytes.len;

    bytes = undecoded(reader, bytes);
    reader->gap = reader->data = reader->skip = 0;
    if (reader->open && !reader->ended)
        reader->ended = look_ahead(&reader->content, &bytes) == HTTP1_DONE;
    return before - bytes.len;
}

bool h1_reader_is_broken(const struct h1_reader *reader, struct span bytes)
{
    struct http1_content content = reader->content;
    struct span rest = undecoded(reader, bytes);

    return look_ahead(&content, &rest) == HTTP1_BAD;
}

bool h1_reader_decode_more(struct h1_reader *reader, struct span bytes, bool is_first, struct span *trailers,
                           size_t *front)
{
    enum http1_status status = HTTP1_MORE;

    while (status == HTTP1_MORE)
        status = h1_reader_decode(reader, bytes, trailers);
    *front = h1_reader_take(reader, 0);
    if (status == HTTP1_BAD)
        return false;
    bytes = (struct span){bytes.ptr + *front, bytes.len - *front};
    return !is_first || reader->ended || !h1_reader_is_broken(reader, bytes);
}

struct span h1_reader_fault(const struct h1_reader *reader, struct span bytes)
{
    struct http1_content content = reader->content;
    struct span rest = undecoded(reader, bytes);

    (void)look_ahead(&content, &rest);
    return rest;
}

bool h1_reader_has_all(const struct h1_reader *reader, struct span bytes, struct h1_rest *rest)
{
    struct http1_content content = reader->content;
    struct span left = undecoded(reader, bytes);
    bool complete = reader->open && (reader->ended || look_ahead(&content, &left) == HTTP1_DONE);

    *rest = (struct h1_rest){left.len, content.odd};
    return complete;
}

bool h1_reader_is_in_bulk(const struct h1_reader *reader, size_t usual)
{
    if (!reader->open)
        return false;
    return (reader->content.framing == HTTP1_LENGTH ? reader->content.left : reader->content_bytes) > usual;
}
