#include "wire/h1_receive.h"

#include "runtime/loop.h"

enum status h1_receive_more(struct transport *transport, struct buffer *in, const struct h1_reader *reader,
                            uint32_t head_cap)
{
    struct buffer_spares *spares = &transport->loop->spare_buffers;
    enum status status;
    size_t len;

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
