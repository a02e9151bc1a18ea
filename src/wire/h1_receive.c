#include "wire/h1_receive.h"

#include "runtime/loop.h"

enum status h1_receive(struct transport *transport, struct buffer *in, const struct h1_reader *reader,
                       uint32_t head_cap)
{
    struct buffer_spares *spares = &transport->loop->spare_buffers;
    enum status status;
    size_t len;

    /* Before a block is taken: most events only say that there is room to write. */
    if (!transport_may_read(transport))
        return ST_AGAIN;
    status =
        h1_reader_is_in_bulk(reader, BUFFER_SIZE) ? buffer_open_large(spares, in) : buffer_open(spares, in);
    if (status == ST_OK)
        status = buffer_make_room(spares, in, reader->open ? BUFFER_LARGE : head_cap);
    if (status != ST_OK)
        return status;
    status = transport_read(transport, in->data + in->end, in->cap - in->end, &len);
    if (status == ST_OK)
        in->end += (uint32_t)len;
    else
        buffer_close_if_empty(spares, in);
    return status;
}

bool h1_peek(struct h1_reader *reader, struct buffer *in, bool is_first, struct stream_piece *piece)
{
    enum http1_status status = HTTP1_MORE;

    piece->trailers = (struct span){0};
    /* What lasts until the connection's end is shown whole, also to who has not taken what came before. */
    if ((reader->data == 0 || reader->content.framing == HTTP1_UNTIL_CLOSE) && !reader->ended) {
        while (status == HTTP1_MORE)
            status = h1_reader_decode(reader, buffer_span(in), &piece->trailers);
        buffer_consume(in, h1_reader_take(reader, 0));
        if (status == HTTP1_BAD ||
            (is_first && !reader->ended && h1_reader_is_broken(reader, buffer_span(in))))
            return false;
    }
    piece->data = h1_reader_data(reader, buffer_span(in));
    piece->last = reader->ended;
    return true;
}
