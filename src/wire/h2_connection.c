#include "wire/h2_connection.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/loop.h"

/* One read. */
#define READ_BYTES    16384u
/* Reads of what an idle connection has to say; one that says more is none that one wants to keep. */
#define READS_AT_REST 8

struct h2_connection *h2_connection_new(struct transport *transport, struct loop *loop,
                                        const struct h2_connection_terms *terms)
{
    struct h2_connection *connection = mem_zalloc(sizeof(*connection));
    struct h2_terms session = {.side = H2_CLIENT,
                               .window = terms->window,
                               .head_max = terms->head_max,
                               .events = terms->events,
                               .user = connection};

    if (connection == NULL)
        return NULL;
    connection->transport = transport;
    connection->loop = loop;
    connection->session = h2_session_new(&session);
    if (connection->session != NULL)
        return connection;
    mem_free(connection);
    return NULL;
}

void h2_connection_free(struct h2_connection *connection)
{
    if (connection->exchange_at != NULL)
        *connection->exchange_at = NULL;
    h2_session_free(connection->session);
    buffer_close(&connection->loop->spare_buffers, &connection->out);
    mem_free(connection);
}

/* Frames into the buffer, which is empty. ST_EOF: there are none. */
static enum status fill(struct h2_connection *connection)
{
    struct buffer_spares *spares = &connection->loop->spare_buffers;
    struct buffer *out = &connection->out;
    enum status status = buffer_open(spares, out);
    size_t len = 0;

    if (status == ST_OK)
        status = buffer_make_room(spares, out, BUFFER_SIZE);
    if (status == ST_OK)
        status = h2_session_pull(connection->session, out->data + out->end, out->cap - out->end, &len);
    out->end += (uint32_t)len;
    if (status == ST_OK && len != 0)
        return ST_OK;
    buffer_close_if_empty(spares, out);
    return status == ST_OK ? ST_EOF : ST_NOMEM;
}

enum status h2_connection_flush(struct h2_connection *connection)
{
    struct buffer *out = &connection->out;
    enum status status = ST_OK;

    for (;;) {
        struct iovec piece;
        size_t written;

        if (buffer_len(out) == 0 && (status = fill(connection)) != ST_OK)
            return status == ST_EOF ? ST_OK : status;
        piece = (struct iovec){out->data + out->start, buffer_len(out)};
        status = transport_write(connection->transport, &piece, 1, &written);
        if (status != ST_OK)
            return status;
        buffer_consume(out, written);
        connection->written += written;
        buffer_close_if_empty(&connection->loop->spare_buffers, out);
    }
}

enum status h2_connection_receive(struct h2_connection *connection)
{
    char bytes[READ_BYTES];
    enum status status, flushed;
    size_t len;

    status = transport_read(connection->transport, bytes, sizeof(bytes), &len);
    if (status != ST_OK)
        return status;
    status = h2_session_receive(connection->session, (struct span){bytes, len});
    flushed = status != ST_NOMEM ? h2_connection_flush(connection) : ST_NOMEM;
    if (h2_session_is_broken(connection->session))
        return ST_BAD;
    return flushed == ST_NOMEM ? ST_NOMEM : status;
}

bool h2_connection_rest(struct h2_connection *connection)
{
    enum status status = h2_connection_flush(connection);

    PRE(connection->exchange_at == NULL);
    if (status != ST_OK && status != ST_AGAIN)
        return false;
    status = ST_OK;
    for (int i = 0; i < READS_AT_REST && status == ST_OK; i++)
        status = h2_connection_receive(connection);
    return status == ST_AGAIN && !connection->retired && !h2_session_is_over(connection->session) &&
           h2_session_peer_streams(connection->session) != 0;
}

void h2_connection_say_goodbye(struct h2_connection *connection)
{
    h2_session_goaway(connection->session, H2_NO_ERROR);
    if (h2_connection_flush(connection) != ST_OK)
        return; /* it finds out by the connection's end */
}
