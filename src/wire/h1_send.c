#include "wire/h1_send.h"

#include "base/invariant.h"
#include "runtime/loop.h"

/* So much of the data can be written now; false: no memory for what ends the message behind it. */
static bool prepare(struct h1_writer *writer, const struct stream_piece *piece, struct span *data)
{
    if (data->len != 0 && !h1_writer_is_within_chunk(writer))
        h1_writer_begin(writer, data->len);
    if (data->len > writer->left)
        data->len = writer->left;
    else if (piece->last && !writer->ended)
        return h1_writer_end(writer, piece->trailers);
    return true;
}

/* *progress: it took a byte. */
static enum stream_result write_all(struct h1_writer *writer, struct transport *transport,
                                    const struct stream_piece *piece, size_t *taken, bool *progress)
{
    struct iovec pieces[H1_WRITER_PIECES];
    size_t written;

    for (*taken = 0;;) {
        struct span data = {piece->data.ptr + *taken, piece->data.len - *taken};

        if (!prepare(writer, piece, &data))
            return STREAM_NOMEM;
        if (data.len == 0 && !h1_writer_has_more(writer))
            return STREAM_OK;
        switch (transport_write(transport, pieces, h1_writer_gather(writer, data, pieces), &written)) {
        case ST_OK: break;
        case ST_AGAIN: return STREAM_WAIT;
        default: return STREAM_LOST;
        }
        *progress = true;
        *taken += h1_writer_advance(writer, data.len, written);
        POST(*taken <= piece->data.len);
    }
}

enum stream_result h1_send(struct stream *stream, struct h1_writer *writer, struct transport *transport,
                           const struct stream_piece *piece, size_t *taken)
{
    bool progress = false;
    enum stream_result result = write_all(writer, transport, piece, taken, &progress);

    if (progress)
        stream->sent = true;
    stream->head_waits = writer->head.len != 0;
    /* The peer's time to take more begins when we begin to wait for it. */
    if (progress || (result == STREAM_WAIT && !stream->blocked))
        stream->moved_ns = loop_now(transport->loop);
    stream->blocked = result == STREAM_WAIT;
    if (result == STREAM_LOST)
        stream->lost = true;
    return result;
}
