#include "http/h1_writer.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/forward.h"

void h1_writer_fini(struct h1_writer *writer)
{
    mem_free(writer->tail);
    writer->tail = NULL;
}

void h1_writer_begin(struct h1_writer *writer, size_t len)
{
    struct text frame = text_over(writer->frame, sizeof(writer->frame));

    PRE(len != 0 && len <= UINT32_MAX);
    writer->left = (uint32_t)len;
    if (writer->framing != HTTP1_CHUNKED)
        return;
    text_hex(&frame, len);
    TEXT_LIT(&frame, "\r\n");
    writer->frame_at = 0;
    writer->crlf_left = 2;
    writer->frame_len = (uint8_t)frame.len;
}

bool h1_writer_end_chunks(struct h1_writer *writer, struct span trailers)
{
    size_t cap = trailers.len + 16;
    struct text tail;

    writer->tail = mem_alloc(cap);
    if (writer->tail == NULL)
        return false;
    tail = text_over(writer->tail, cap);
    TEXT_LIT(&tail, "0\r\n");
    forward_trailers(&tail, trailers, writer->rules);
    TEXT_LIT(&tail, "\r\n");
    writer->tail_at = 0;
    writer->tail_len = (uint32_t)tail.len;
    return true;
}

void h1_writer_rewind(struct h1_writer *writer)
{
    writer->tail_at = 0;
}

static struct iovec piece_of(const char *bytes, size_t len)
{
    return (struct iovec){(char *)(uintptr_t)bytes, len};
}

int h1_writer_gather(struct h1_writer *writer, struct span data, struct iovec pieces[H1_WRITER_PIECES])
{
    int count = 0;

    if (writer->head.len != 0)
        pieces[count++] = piece_of(writer->head.ptr, writer->head.len);
    if (writer->frame_at < writer->frame_len)
        pieces[count++] =
            piece_of(writer->frame + writer->frame_at, (size_t)(writer->frame_len - writer->frame_at));
    if (data.len != 0)
        pieces[count++] = piece_of(data.ptr, data.len);
    if (writer->crlf_left != 0)
        pieces[count++] = piece_of(&"\r\n"[2 - writer->crlf_left], writer -> crlf_left);
    if (writer->tail_at < writer->tail_len)
        pieces[count++] = piece_of(writer->tail + writer->tail_at, writer->tail_len - writer->tail_at);
    return count;
}

static size_t take(size_t *written, size_t have)
{
    size_t part = *written < have ? *written : have;

    *written -= part;
    return part;
}

size_t h1_writer_advance(struct h1_writer *writer, size_t data_len, size_t written)
{
    size_t part = take(&written, writer->head.len), of_data;

    writer->head.ptr += part;
    writer->head.len -= part;
    writer->frame_at =
        (uint8_t)(writer->frame_at + take(&written, (size_t)(writer->frame_len - writer->frame_at)));
    of_data = take(&written, data_len);
    writer->left -= (uint32_t)of_data;
    writer->crlf_left = (uint8_t)(writer->crlf_left - take(&written, writer->crlf_left));
    writer->tail_at += (uint32_t)take(&written, writer->tail_len - writer->tail_at);
    return of_data;
}
