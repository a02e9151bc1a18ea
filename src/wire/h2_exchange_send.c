/* What goes: the request's head, its content as windows and the socket take it, its trailers. */
#include <string.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/forward.h"
#include "http/outgoing.h"
#include "runtime/loop.h"
#include "wire/h2_exchange.h"

/* The first block for content that is kept. */
#define KEPT_LEAST 256u

static struct h2_exchange *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h2_exchange, stream);
}

static size_t give_kept(struct h2_exchange *exchange, void *to, size_t cap)
{
    size_t left = exchange->kept_len - exchange->again_at;
    size_t len = left < cap ? left : cap;

    if (len != 0)
        memcpy(to, exchange->kept + exchange->again_at, len);
    exchange->again_at += (uint32_t)len;
    return len;
}

/* Most requests' content is short, and a call that waits holds it: no more than about twice of it. */
static size_t room_for(size_t len)
{
    size_t room = KEPT_LEAST;

    while (room < len)
        room *= 2;
    return room;
}

static bool make_room_to_keep(struct h2_exchange *exchange, size_t len)
{
    size_t room = room_for(exchange->kept_len + len);
    char *kept;

    if (exchange->kept != NULL && room == room_for(exchange->kept_len))
        return true;
    kept = mem_realloc(exchange->kept, room);
    if (kept != NULL)
        exchange->kept = kept;
    return kept != NULL;
}

/* As long as all of it is there. */
static void keep(struct h2_exchange *exchange, const char *bytes, size_t len)
{
    if (exchange->sent_bytes != exchange->kept_len || exchange->kept_len + len > H2_KEPT_MAX ||
        exchange->open)
        return;
    if (!make_room_to_keep(exchange, len))
        return; /* then it can't be sent again */
    memcpy(exchange->kept + exchange->kept_len, bytes, len);
    exchange->kept_len += (uint32_t)len;
}

static bool give_trailers(struct h2_exchange *exchange)
{
    struct span lines = {exchange->trailers, exchange->trailers_len};
    size_t most = h2_head_most(lines);
    struct h2_field *fields = mem_calloc(most, sizeof(*fields));
    char *names = mem_alloc(lines.len);
    bool done = fields != NULL && names != NULL &&
                h2_session_trailers(exchange->connection->session, exchange->id, fields,
                                    h2_head_of_lines(lines, fields, names)) == ST_OK;

    mem_free(fields);
    mem_free(names);
    return done;
}

size_t h2_exchange_give(void *user, void *stream, void *to, size_t cap, bool *end)
{
    struct h2_exchange *exchange = stream;
    size_t again, len = exchange->offer.len - exchange->given;

    (void)user;
    if (exchange->connection == NULL || !h2_connection_has_room(exchange->connection))
        return 0;
    /* The window has opened, and what is to go through it is not here: it is offered again. */
    if (exchange->stream.blocked && len == 0 && !exchange->end_offered)
        h2_exchange_has_news(exchange);
    again = give_kept(exchange, to, cap);
    if (len > cap - again)
        len = cap - again;
    if (len != 0) {
        memcpy((char *)to + again, exchange->offer.ptr + exchange->given, len);
        keep(exchange, exchange->offer.ptr + exchange->given, len);
        exchange->sent_bytes += len;
        exchange->again_at = exchange->kept_len;
    }
    exchange->given += len;
    if (!exchange->end_offered || exchange->given != exchange->offer.len)
        return again + len;
    *end = true;
    exchange->end_given = true;
    if (exchange->trailers != NULL && !give_trailers(exchange))
        h2_exchange_fail_for_memory(exchange);
    return again + len;
}

void h2_exchange_send_head(struct stream *stream, struct outgoing *request, struct span name,
                           struct span value)
{
    of(stream)->head = outgoing_close(request, name, value);
    stream->head_waits = true;
}

/* Of the trailers only what is sent on; they are seen once. False: no memory. */
static bool keep_trailers(struct h2_exchange *exchange, struct span trailers)
{
    struct text text;

    if (trailers.len == 0 || exchange->trailers != NULL)
        return true;
    exchange->trailers = mem_alloc(trailers.len);
    if (exchange->trailers == NULL)
        return false;
    text = text_over(exchange->trailers, trailers.len);
    forward_trailers(&text, trailers, exchange->rules);
    exchange->trailers_len = text.len;
    if (text.len != 0)
        return true;
    mem_free(exchange->trailers);
    exchange->trailers = NULL;
    return true;
}

/* May the request be submitted? Not before the peer's limits are known, if it was refused by one already. */
static bool may_begin(const struct h2_exchange *exchange)
{
    const struct h2_session *session = exchange->connection->session;

    return (!exchange->waits_for_settings || h2_session_knows_peer(session)) &&
           h2_session_peer_streams(session) != 0;
}

static enum stream_result submit(struct h2_exchange *exchange, bool is_whole)
{
    size_t most = h2_head_most(exchange->head);
    struct h2_field *fields = mem_calloc(most, sizeof(*fields));
    char *names = mem_alloc(exchange->head.len);
    enum status status = ST_NOMEM;

    if (fields != NULL && names != NULL)
        status = h2_session_request(exchange->connection->session, fields,
                                    h2_head_of_request(exchange->head, exchange->is_https, fields, names),
                                    is_whole, exchange, &exchange->id);
    mem_free(fields);
    mem_free(names);
    if (status == ST_NOMEM) {
        exchange->id = 0;
        return STREAM_NOMEM;
    }
    if (status == ST_OK) {
        exchange->end_given = is_whole;
        return STREAM_OK;
    }
    /* There is no number left: nobody has seen the request. */
    exchange->connection->retired = true;
    exchange->stream.refused = exchange->stream.lost = true;
    h2_exchange_fail(exchange, STREAM_LOST, CAUSE_TERMINATED, "the connection has used up its streams");
    return STREAM_LOST;
}

/* Has all gone that was offered, and the head before it? */
static bool is_out(const struct h2_exchange *exchange)
{
    return !exchange->stream.head_waits && exchange->given == exchange->offer.len &&
           exchange->again_at == exchange->kept_len && (!exchange->end_offered || exchange->end_given);
}

/* The request, as far as it may begin. WAIT: the connection tells when. */
static enum stream_result begin(struct h2_exchange *exchange, const struct stream_piece *piece)
{
    bool is_whole = piece->last && piece->data.len == 0 && exchange->kept_len == 0;

    if (may_begin(exchange))
        return submit(exchange, is_whole && exchange->trailers == NULL);
    exchange->connection->has_waiting = true;
    return STREAM_WAIT;
}

static enum stream_result offer(struct h2_exchange *exchange, const struct stream_piece *piece)
{
    struct h2_connection *connection = exchange->connection;
    enum stream_result result = STREAM_OK;

    if (piece->last && !keep_trailers(exchange, piece->trailers))
        return STREAM_NOMEM;
    exchange->offer = piece->data;
    exchange->given = 0;
    exchange->end_offered = piece->last;
    if (exchange->id == 0)
        result = begin(exchange, piece);
    if (result != STREAM_OK)
        return result;
    h2_session_resume(connection->session, exchange->id);
    h2_connection_pull(connection);
    h2_connection_wants_turn(connection);
    if (exchange->stream.lost)
        return STREAM_LOST;
    if (exchange->failure == STREAM_NOMEM || connection->lost == ST_NOMEM)
        return STREAM_NOMEM;
    return is_out(exchange) ? STREAM_OK : STREAM_WAIT;
}

enum stream_result h2_exchange_send(struct stream *stream, const struct stream_piece *piece, size_t *taken)
{
    struct h2_exchange *exchange = of(stream);
    uint64_t before = exchange->connection->pulled;
    enum stream_result result;

    PRE(!stream->lost);
    result = offer(exchange, piece);
    *taken = exchange->given;
    exchange->offer = SPAN_LIT(""); /* it is the user's */
    exchange->given = 0;
    exchange->end_offered = false;
    if (exchange->connection->pulled != before || (result == STREAM_WAIT && !stream->blocked))
        stream->moved_ns = loop_now(exchange->loop);
    stream->blocked = result == STREAM_WAIT;
    if (result == STREAM_LOST)
        stream->lost = true;
    return result;
}
