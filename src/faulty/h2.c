/*
 * A connection over HTTP/2: bytes in, bytes out, in turns of the loop. Streams take notes of what came and are stepped
 * at the turn's end; nothing acts from within the session.
 */
#include "faulty/h2.h"

#include "base/mem.h"

#define OUT_MAX      ((size_t)65536)
#define READ_AT_ONCE ((size_t)65536)
/* After so many rounds other connections get their turn. */
#define ROUNDS_MAX   16

enum { FRAME_SETTINGS = 4, FRAME_PING = 6, FLAG_ACK = 1 };

void faulty_h2_wake(struct faulty_h2 *h2)
{
    event_active(&h2->io, EV_TIMEOUT, 0);
}

/* ---------------------------------------------------------------------------------------- writing */

static bool is_dropped(const struct faulty_frames *frames)
{
    bool is_ack = (frames->head[4] & FLAG_ACK) != 0;

    return (frames->no_settings && frames->head[3] == FRAME_SETTINGS && !is_ack) ||
           (frames->no_pongs && frames->head[3] == FRAME_PING && is_ack);
}

/* False: no memory. */
static bool put_head(struct faulty_h2 *h2, const char *bytes, size_t *used)
{
    struct faulty_frames *frames = &h2->frames;

    frames->head[frames->head_len++] = (uint8_t)*bytes;
    *used = 1;
    if (frames->head_len < sizeof(frames->head))
        return true;
    frames->left = (uint32_t)frames->head[0] << 16 | (uint32_t)frames->head[1] << 8 | frames->head[2];
    frames->drops = is_dropped(frames);
    if (frames->left == 0)
        frames->head_len = 0;
    return frames->drops || evbuffer_add(h2->out, frames->head, sizeof(frames->head)) == 0;
}

static bool put_payload(struct faulty_h2 *h2, const char *bytes, size_t len, size_t *used)
{
    struct faulty_frames *frames = &h2->frames;

    *used = len < frames->left ? len : frames->left;
    frames->left -= (uint32_t)*used;
    if (frames->left == 0)
        frames->head_len = 0;
    return frames->drops || evbuffer_add(h2->out, bytes, *used) == 0;
}

static bool put_frames(struct faulty_h2 *h2, const char *bytes, size_t len)
{
    bool done = true;

    for (size_t at = 0, used; done && at < len; at += used)
        done = h2->frames.head_len < sizeof(h2->frames.head) ? put_head(h2, bytes + at, &used)
                                                             : put_payload(h2, bytes + at, len - at, &used);
    return done;
}

/* False: the connection is over. *moved: there was something. */
static bool pull(struct faulty_h2 *h2, size_t most, bool *moved)
{
    static char block[16384]; /* one for the process's one thread */
    size_t len = 1;

    while (len != 0 && !h2->ends && evbuffer_get_length(h2->out) < most) {
        if (h2_session_pull(h2->session, block, sizeof(block), &len) != ST_OK || !put_frames(h2, block, len))
            return false;
        *moved |= len != 0;
    }
    return true;
}

void faulty_h2_put(struct faulty_h2 *h2, const void *bytes, size_t len)
{
    bool moved = false;

    if (!pull(h2, SIZE_MAX, &moved) || evbuffer_add(h2->out, bytes, len) != 0)
        h2->ends = true;
    faulty_h2_wake(h2);
}

static bool flush(struct faulty_h2 *h2, bool *moved)
{
    size_t put = 0;
    enum status status = ST_OK;

    if (evbuffer_get_length(h2->out) != 0 && h2->transport.writable)
        status = faulty_transport_write(&h2->transport, h2->out, &put);
    h2->server->stats.bytes_out += put;
    *moved |= put != 0;
    return status == ST_OK || status == ST_AGAIN;
}

/* ---------------------------------------------------------------------------------------- its life */

static void h2_free(struct faulty_h2 *h2)
{
    while (!list_is_empty(&h2->streams))
        faulty_h2_stream_lose(CONTAINER_OF(h2->streams.next, struct faulty_h2_stream, link));
    (void)event_del(&h2->io); /* fails only for an event without a base */
    faulty_transport_close(&h2->transport, false);
    list_remove(&h2->link);
    h2_session_free(h2->session);
    evbuffer_free(h2->out);
    h2->server->stats.open--;
    mem_free(h2);
}

static bool receive(struct faulty_h2 *h2, bool *moved)
{
    struct evbuffer *in = evbuffer_new();
    enum status status = ST_NOMEM, taken = ST_OK;
    size_t got = 0;

    if (in != NULL)
        status = faulty_transport_read(&h2->transport, in, READ_AT_ONCE, &got);
    if (got != 0) {
        struct span bytes = {(char *)evbuffer_pullup(in, -1), got};

        taken = bytes.ptr != NULL ? h2_session_receive(h2->session, bytes) : ST_NOMEM;
    }
    if (in != NULL)
        evbuffer_free(in);
    h2->server->stats.bytes_in += got;
    *moved |= got != 0;
    if (taken != ST_OK)
        h2->ends = h2->deaf = true; /* a GOAWAY may say why */
    return status == ST_OK || status == ST_AGAIN;
}

static void step_streams(struct faulty_h2 *h2)
{
    struct list_node all, *node;

    list_init(&all);
    list_append_all(&all, &h2->streams);
    while ((node = list_take_front(&all)) != NULL) {
        list_push_back(&h2->streams, node);
        faulty_h2_stream_step(CONTAINER_OF(node, struct faulty_h2_stream, link));
    }
}

static bool is_over(const struct faulty_h2 *h2)
{
    return evbuffer_get_length(h2->out) == 0 &&
           (h2->ends || h2_session_is_broken(h2->session) || h2_session_is_over(h2->session));
}

static void h2_step(struct faulty_h2 *h2)
{
    bool moved = true, lives = true;

    for (int round = 0; lives && moved && round < ROUNDS_MAX; round++) {
        moved = false;
        if (h2->transport.readable && !h2->deaf)
            lives = receive(h2, &moved);
        step_streams(h2);
        lives = lives && pull(h2, OUT_MAX, &moved) && flush(h2, &moved);
    }
    if (!lives || is_over(h2) || (h2->deaf && faulty_transport_peer_left(&h2->transport)))
        h2_free(h2);
    else if (moved)
        faulty_h2_wake(h2);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct faulty_h2 *h2 = arg;

    (void)fd;
    h2->transport.readable |= (what & EV_READ) != 0 || h2->transport.ssl != NULL;
    h2->transport.writable |= (what & EV_WRITE) != 0 || h2->transport.ssl != NULL;
    h2_step(h2);
}

static struct h2_session *open_session(struct faulty_h2 *h2)
{
    const struct faulty_h2_options *options = &h2->server->h2;
    const struct h2_terms terms = {.side = H2_SERVER,
                                   .max_streams = options->streams,
                                   .window = options->window,
                                   .head_max = 65536,
                                   .events = &faulty_h2_events,
                                   .user = h2};

    return h2_session_new(&terms);
}

static bool h2_init(struct faulty_h2 *h2, struct faulty_server *server,
                    const struct faulty_transport *transport)
{
    h2->server = server;
    h2->transport = *transport;
    h2->transport.readable = h2->transport.writable = true;
    h2->frames.no_settings = server->h2.no_settings;
    h2->frames.no_pongs = server->h2.no_pongs;
    list_init(&h2->streams);
    h2->session = open_session(h2);
    h2->out = evbuffer_new();
    return h2->session != NULL && h2->out != NULL &&
           event_assign(&h2->io, server->base, h2->transport.fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST,
                        on_io, h2) == 0 &&
           event_add(&h2->io, NULL) == 0;
}

void faulty_h2_start(struct faulty_server *server, const struct faulty_transport *transport,
                     struct span received)
{
    struct faulty_transport own = *transport;
    struct faulty_h2 *h2 = mem_zalloc(sizeof(*h2));

    if (h2 == NULL || !h2_init(h2, server, transport)) {
        if (h2 != NULL && h2->session != NULL)
            h2_session_free(h2->session);
        if (h2 != NULL && h2->out != NULL)
            evbuffer_free(h2->out);
        mem_free(h2);
        faulty_transport_close(&own, false);
        return;
    }
    list_push_back(&server->h2s, &h2->link);
    server->stats.open++;
    if (h2_session_receive(h2->session, received) != ST_OK)
        h2->ends = h2->deaf = true;
    faulty_h2_wake(h2);
}

void faulty_h2_close_all(struct faulty_server *server)
{
    while (!list_is_empty(&server->h2s))
        h2_free(CONTAINER_OF(server->h2s.next, struct faulty_h2, link));
}
