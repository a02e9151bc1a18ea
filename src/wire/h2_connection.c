#include "wire/h2_connection.h"

#include "base/invariant.h"
#include "base/mem.h"

/* One read, and how much is read in a turn, so that others get theirs. */
#define READ_BYTES    16384u
#define READ_A_TURN   65536u
/* Reads of what an idle connection has to say; one that says more is none that one wants to keep. */
#define READS_AT_REST 8
/* Content waits in the session when so much is to be written; other frames never do. */
#define OUT_FULL      65536u
/* The most that is to be written: who has us answer more than that is sent away. */
#define OUT_MAX       (1u << 20)
/* Times that telling leads to writing, and writing to telling, in one turn. */
#define ROUNDS        4

static struct buffer_spares *spares_of(struct h2_connection *connection)
{
    return &connection->loop->spare_buffers;
}

static void turn(struct mail *mail)
{
    h2_connection_run(CONTAINER_OF(mail, struct h2_connection, turn));
}

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
    connection->ops = terms->ops;
    connection->read_ns = loop_now(loop);
    list_init(&connection->members);
    list_init(&connection->news);
    mail_init(&connection->turn, turn);
    connection->session = h2_session_new(&session);
    if (connection->session != NULL)
        return connection;
    mem_free(connection);
    return NULL;
}

static void free_now(struct deferred_free *deferred_free)
{
    struct h2_connection *connection = CONTAINER_OF(deferred_free, struct h2_connection, deferred_free);

    h2_session_free(connection->session);
    mem_free(connection);
}

void h2_connection_free(struct h2_connection *connection)
{
    PRE(!connection->over);
    connection->over = true;
    loop_undefer(&connection->turn);
    while (!list_is_empty(&connection->members))
        connection->ops->leave(CONTAINER_OF(connection->members.next, struct h2_member, node));
    buffer_close(spares_of(connection), &connection->out);
    loop_free_later(connection->loop, &connection->deferred_free, free_now);
}

/* ---- what goes ----------------------------------------------------------------------------------------- */

static void lose(struct h2_connection *connection, enum status why)
{
    if (connection->lost == ST_OK)
        connection->lost = why;
}

bool h2_connection_has_room(struct h2_connection *connection)
{
    connection->is_full = buffer_len(&connection->out) >= OUT_FULL;
    return !connection->is_full;
}

/* ST_EOF: there are no more frames. */
static enum status pull_some(struct h2_connection *connection)
{
    struct buffer *out = &connection->out;
    enum status status = buffer_reserve(spares_of(connection), out, BUFFER_SIZE / 2, OUT_MAX);
    size_t len = 0;

    if (status == ST_OK)
        status = h2_session_pull(connection->session, out->data + out->end, out->cap - out->end, &len);
    out->end += (uint32_t)len;
    connection->pulled += len;
    return status == ST_OK && out->end != out->cap ? ST_EOF : status;
}

void h2_connection_pull(struct h2_connection *connection)
{
    enum status status;

    if (!h2_session_has_frames(connection->session))
        return;
    do
        status = pull_some(connection);
    while (status == ST_OK);
    buffer_close_if_empty(spares_of(connection), &connection->out);
    if (status != ST_EOF)
        lose(connection, status == ST_LIMIT ? ST_BAD : ST_NOMEM);
}

void h2_connection_has_news(struct h2_connection *connection, struct h2_member *member)
{
    if (list_is_alone(&member->to_tell))
        list_push_back(&connection->news, &member->to_tell);
}

/* Those that could not go on because of `out`, or of a window that has opened, are told. */
static void wake_blocked(struct h2_connection *connection)
{
    LIST_FOREACH(node, &connection->members) {
        struct h2_member *member = CONTAINER_OF(node, struct h2_member, node);

        if (connection->ops->is_blocked(member))
            h2_connection_has_news(connection, member);
    }
}

/* Writes what there is. */
static void write_out(struct h2_connection *connection)
{
    struct buffer *out = &connection->out;
    enum status status = ST_OK;
    size_t written;

    while (buffer_len(out) != 0 && status == ST_OK && !connection->cannot_write) {
        struct iovec piece = {out->data + out->start, buffer_len(out)};

        status = transport_write(connection->transport, &piece, 1, &written);
        if (status != ST_OK)
            break;
        buffer_consume(out, written);
        connection->written += written;
    }
    buffer_close_if_empty(spares_of(connection), out);
    if (status == ST_FAILED) { /* the peer may have answered before */
        connection->cannot_write = true;
        connection->transport->can_read = true;
    }
    if (connection->is_full && buffer_len(out) < OUT_FULL) {
        connection->is_full = false;
        wake_blocked(connection);
    }
}

static void flush(struct h2_connection *connection)
{
    h2_connection_pull(connection);
    write_out(connection);
    if (h2_session_is_broken(connection->session))
        lose(connection, ST_BAD);
}

void h2_connection_wants_turn(struct h2_connection *connection)
{
    if (!connection->over && list_is_alone(&connection->turn.node))
        loop_defer(connection->loop, &connection->turn);
}

void h2_connection_flush(struct h2_connection *connection)
{
    if (connection->lost == ST_OK)
        flush(connection);
    if (connection->lost != ST_OK || !list_is_empty(&connection->news))
        h2_connection_wants_turn(connection);
}

void h2_connection_ping(struct h2_connection *connection)
{
    h2_session_ping(connection->session);
    h2_connection_wants_turn(connection);
}

void h2_connection_say_goodbye(struct h2_connection *connection)
{
    if (connection->lost != ST_OK)
        return;
    h2_session_goaway(connection->session, H2_NO_ERROR);
    h2_connection_flush(connection); /* as far as it goes: else it finds out by the connection's end */
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

/* One read. As transport_read. */
static enum status receive(struct h2_connection *connection, size_t *len)
{
    char bytes[READ_BYTES];
    enum status status = transport_read(connection->transport, bytes, sizeof(bytes), len);

    if (status != ST_OK)
        return status;
    connection->reads++;
    connection->read_ns = loop_now(connection->loop);
    return h2_session_receive(connection->session, (struct span){bytes, *len});
}

/* What was to be done when the peer has said what it allows. */
static void wake_waiting(struct h2_connection *connection)
{
    if (!connection->has_waiting || h2_session_peer_streams(connection->session) == 0)
        return;
    connection->has_waiting = false;
    wake_blocked(connection);
}

/* May there be more to read that has to be known now? A reset that came with these bytes raises no event of its own. */
static bool wants_more(const struct h2_connection *connection)
{
    if (connection->transport->can_read || connection->cannot_write || list_is_empty(&connection->members))
        return true;
    LIST_FOREACH(node, &connection->members)
        if (connection->ops->is_awaited(CONTAINER_OF(node, struct h2_member, node)))
            return true;
    return false;
}

static void receive_all(struct h2_connection *connection)
{
    enum status status = ST_OK;
    size_t sum = 0, len;

    do {
        status = receive(connection, &len);
        sum += status == ST_OK ? len : 0;
    } while (status == ST_OK && sum < READ_A_TURN && wants_more(connection));
    h2_connection_pull(connection);
    if (h2_session_is_broken(connection->session)) { /* which it said before its end */
        write_out(connection);                       /* a GOAWAY that says why */
        lose(connection, ST_BAD);
    }
    if (status != ST_OK && status != ST_AGAIN)
        lose(connection, status);
    else if (connection->cannot_write && status == ST_AGAIN)
        lose(connection, ST_FAILED);
    if (connection->transport->can_read && status == ST_OK)
        h2_connection_wants_turn(connection); /* for the rest */
    wake_waiting(connection);
}

/* ---- who is told --------------------------------------------------------------------------------------- */

static void tell(struct h2_connection *connection)
{
    while (!list_is_empty(&connection->news) && !connection->over) {
        struct h2_member *member = CONTAINER_OF(connection->news.next, struct h2_member, to_tell);

        list_remove(&member->to_tell);
        connection->user->ready(member->owner);
    }
}

static void lose_all(struct h2_connection *connection)
{
    LIST_FOREACH(node, &connection->members)
        connection->ops->note_loss(CONTAINER_OF(node, struct h2_member, node), connection->lost);
    tell(connection);
}

void h2_connection_run(struct h2_connection *connection)
{
    PRE(!connection->over && connection->user != NULL);
    loop_undefer(&connection->turn);
    connection->in_run = true;
    if (connection->lost == ST_OK && connection->transport->can_read)
        receive_all(connection);
    for (int round = 0; round < ROUNDS && connection->lost == ST_OK && !connection->over; round++) {
        tell(connection);
        if (connection->over)
            return;
        flush(connection);
        if (list_is_empty(&connection->news))
            break;
    }
    if (connection->lost == ST_OK && h2_session_is_over(connection->session))
        connection->retired = true;
    if (connection->lost != ST_OK)
        lose_all(connection);
    else if (!list_is_empty(&connection->news))
        h2_connection_wants_turn(connection);
    connection->in_run = false;
    if (!connection->over)
        connection->user->moved(connection->owner);
}

void h2_connection_lose(struct h2_connection *connection)
{
    lose(connection, ST_FAILED);
    h2_connection_run(connection);
}

bool h2_connection_rest(struct h2_connection *connection)
{
    const struct transport *transport = connection->transport;
    enum status status = ST_OK;
    size_t len;
    bool is_quiet;

    PRE(list_is_empty(&connection->members));
    h2_connection_flush(connection);
    for (int i = 0; i < READS_AT_REST && status == ST_OK && connection->lost == ST_OK && transport->can_read;
         i++) {
        status = receive(connection, &len);
        h2_connection_flush(connection);
    }
    is_quiet = status == ST_AGAIN || (status == ST_OK && !transport->can_read);
    if (is_quiet && connection->cannot_write)
        lose(connection, ST_FAILED);
    loop_undefer(&connection->turn);
    return is_quiet && connection->lost == ST_OK && !connection->retired &&
           !h2_session_is_over(connection->session) && h2_session_peer_streams(connection->session) != 0;
}
