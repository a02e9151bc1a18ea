#include "wire/h2_caller.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "wire/caller.h"

/* What is read in one turn, so that others get theirs. */
#define READ_A_TURN  65536u
#define READ_AT_ONCE 16384u
/* A stream's window. */
#define WINDOW       65535u
/* Frames that wait in the session beside content: a peer that reads no answers to what it sends is sent away. */
#define QUEUED_MAX   1000u
/* Streams that break the protocol (CVE-2025-8671: such that we reset, while their calls go on). */
#define BREACHES_MAX 100u
/* Of telling and writing in a turn, so that others get theirs. */
#define ROUNDS       4
/* Between the two GOAWAYs: requests that are on their way are served. */
#define LAST_CALL_NS (250 * NS_PER_MS)

void h2_caller_wants_turn(struct h2_caller *caller)
{
    if (list_is_alone(&caller->turn.node))
        loop_defer(caller->common->loop, &caller->turn);
}

void h2_caller_note(struct h2_stream *stream)
{
    struct h2_caller *caller = stream->caller;

    if (list_is_alone(&stream->news))
        list_push_back(&caller->news, &stream->news);
    h2_caller_wants_turn(caller);
}

static void set_timer(struct h2_caller *caller, int64_t length_ns)
{
    struct loop *loop = caller->common->loop;

    timer_set(&loop->timers, &caller->timer, length_ns == NS_NEVER ? NS_NEVER : loop_now(loop) + length_ns);
}

/* Between requests, PINGs do not count: the idle time runs from the last one's end. */
static void set_idle_timer(struct h2_caller *caller)
{
    if (!caller->winding_down)
        set_timer(caller, caller->count == 0 ? caller->common->idle_ns : NS_NEVER);
}

/* ---- what goes ----------------------------------------------------------------------------------------- */

static struct buffer_spares *spares_of(struct h2_caller *caller)
{
    return &caller->common->loop->spare_buffers;
}

/* False: no memory. There may be no room, too. */
static bool make_room(struct h2_caller *caller)
{
    enum status status = buffer_open_large(spares_of(caller), &caller->out);

    if (status == ST_OK)
        status = buffer_make_room(spares_of(caller), &caller->out, BUFFER_LARGE);
    return status != ST_NOMEM;
}

void h2_caller_pull(struct h2_caller *caller)
{
    size_t len;

    if (!h2_session_has_frames(caller->session))
        return;
    if (caller->ending || !make_room(caller)) {
        caller->ending = true;
        return;
    }
    if (h2_session_pull(caller->session, caller->out.data + caller->out.end,
                        caller->out.cap - caller->out.end, &len) != ST_OK)
        caller->ending = true;
    caller->out.end += (uint32_t)len;
    caller->pulled += len;
}

/* ST_OK: all is written. ST_AGAIN: when the socket takes more. */
static enum status flush(struct h2_caller *caller)
{
    enum status status = ST_OK;
    size_t written;

    while (buffer_len(&caller->out) != 0 && status == ST_OK) {
        struct iovec piece = {caller->out.data + caller->out.start, buffer_len(&caller->out)};

        status = transport_write(caller->transport, &piece, 1, &written);
        if (status != ST_OK)
            break;
        buffer_consume(&caller->out, written);
        caller->written += written;
    }
    buffer_close_if_empty(spares_of(caller), &caller->out);
    return status;
}

/* Of streams whose end has been given, those are through whose last byte the kernel has. */
static void note_flushed(struct h2_caller *caller)
{
    LIST_FOREACH(node, &caller->streams) {
        struct h2_stream *stream = CONTAINER_OF(node, struct h2_stream, node);

        if (stream->end_given && stream->stream.blocked && stream->end_at <= caller->written)
            h2_caller_note(stream);
    }
}

/* ---- telling ------------------------------------------------------------------------------------------- */

static void tell(struct h2_caller *caller)
{
    struct list_node all, *node;

    list_init(&all);
    list_append_all(&all, &caller->news);
    while ((node = list_take_front(&all)) != NULL)
        h2_stream_tell(CONTAINER_OF(node, struct h2_stream, news));
}

static bool take_place(struct h2_caller *caller)
{
    if (caller->places + 1 >= caller->count)
        return true;
    if (!caller->common->user->take_place(caller->base->owner))
        return false;
    caller->places++;
    return true;
}

static void give_places(struct h2_caller *caller)
{
    while (caller->places != 0 && caller->places >= caller->count) {
        caller->places--;
        caller->common->user->give_place(caller->base->owner);
    }
}

bool h2_caller_add(struct h2_stream *stream)
{
    struct h2_caller *caller = stream->caller;

    list_init(&stream->news);
    list_push_back(&caller->streams, &stream->node);
    caller->count++;
    caller->incomplete++;
    set_idle_timer(caller);
    h2_caller_note(stream);
    return take_place(caller);
}

void h2_caller_drop(struct h2_stream *stream)
{
    struct h2_caller *caller = stream->caller;

    PRE(caller->count > 0);
    list_remove(&stream->node);
    list_remove(&stream->news);
    caller->count--;
    caller->incomplete -= !stream->has_ended;
    give_places(caller);
    set_idle_timer(caller);
    h2_caller_wants_turn(caller);
}

/* ---- the connection ------------------------------------------------------------------------------------ */

static void free_deferred(struct deferred_free *deferred_free)
{
    struct h2_caller *caller = CONTAINER_OF(deferred_free, struct h2_caller, deferred_free);

    h2_session_free(caller->session);
    buffer_close(spares_of(caller), &caller->out);
    mem_free(caller);
}

/* The base has its transport back. */
static void leave(struct h2_caller *caller)
{
    PRE(list_is_empty(&caller->streams));
    *caller->at = NULL;
    loop_undefer(&caller->turn);
    timer_fini(&caller->common->loop->timers, &caller->timer);
    loop_free_later(caller->common->loop, &caller->deferred_free, free_deferred);
}

/* Its streams are lost with it. Each user ends its own. */
static void lose_streams(struct h2_caller *caller)
{
    struct list_node all, *node;

    list_init(&all);
    list_append_all(&all, &caller->streams);
    while ((node = list_take_front(&all)) != NULL) {
        struct h2_stream *stream = CONTAINER_OF(node, struct h2_stream, node);

        list_push_back(&caller->streams, &stream->node);
        h2_stream_lose(stream);
        h2_stream_tell(stream);
    }
    PRE(list_is_empty(&caller->streams)); /* who has lost its caller ends */
}

void h2_caller_close(struct h2_caller *caller)
{
    struct h1_caller *base = caller->base;

    lose_streams(caller); /* those that no user has heard of */
    h2_caller_pull(caller);
    (void)flush(caller); /* answers of calls that were just ended */
    leave(caller);
    h1_caller_take_back(base);
    h1_caller_close(base);
}

/* What is left to be said has been written, as far as the socket takes it. */
static void end(struct h2_caller *caller)
{
    struct h1_caller *base = caller->base;

    caller->ending = true;
    lose_streams(caller);
    (void)flush(caller);
    leave(caller);
    h1_caller_take_back(base);
    h1_caller_linger(base);
}

static bool has_gone_wrong(struct h2_caller *caller)
{
    return caller->ending || h2_session_is_broken(caller->session) || h2_session_is_over(caller->session);
}

static void give_up(struct h2_caller *caller, enum h2_code code)
{
    h2_session_goaway(caller->session, code);
    h2_caller_pull(caller);
    end(caller);
}

/* Nothing is under way any more on a connection that is to end. */
static bool is_done(const struct h2_caller *caller)
{
    return caller->last_said && caller->count == 0 && buffer_len(&caller->out) == 0;
}

/* Draws, tells and writes until nothing moves, or its share of the turn is over. */
static enum status move(struct h2_caller *caller)
{
    enum status status = ST_OK;
    bool was_full; /* there may be more than `out` had room for */

    for (int round = 0; round < ROUNDS; round++) {
        tell(caller);
        h2_caller_pull(caller);
        was_full = h2_session_has_frames(caller->session);
        status = flush(caller);
        note_flushed(caller);
        if (list_is_empty(&caller->news) && (!was_full || status != ST_OK)) {
            if (!caller->transport->can_read)
                loop_undefer(&caller->turn); /* what was wanted meanwhile has been done */
            return status;
        }
    }
    h2_caller_wants_turn(caller);
    return status;
}

/* May end the connection. */
static void go_on(struct h2_caller *caller)
{
    enum status status = move(caller);

    if (status != ST_OK && status != ST_AGAIN)
        end(caller);
    else if (caller->is_wild || caller->breaches > BREACHES_MAX ||
             h2_session_queued(caller->session) > QUEUED_MAX)
        give_up(caller, H2_ENHANCE_YOUR_CALM);
    else if (has_gone_wrong(caller) || is_done(caller))
        end(caller);
}

/* False: the connection has ended. */
static bool take(struct h2_caller *caller, struct span bytes)
{
    enum status status = h2_session_receive(caller->session, bytes);

    if (status == ST_OK)
        return true;
    h2_caller_pull(caller); /* a GOAWAY may say why */
    end(caller);
    return false;
}

/*
 * May there be more to read that has to be known now? A reset that came with these bytes raises no event of its own; as
 * long as all requests are here, it shows when they are answered.
 */
static bool wants_more(const struct h2_caller *caller)
{
    return caller->transport->can_read || caller->incomplete != 0 || caller->count == 0;
}

/* False: the connection has ended. */
static bool receive(struct h2_caller *caller)
{
    char bytes[READ_AT_ONCE];
    size_t len, sum = 0;
    enum status status = ST_OK;

    (void)loop_refresh_now(caller->common->loop); /* requests that begin now have their time from here */
    do {
        status = transport_read(caller->transport, bytes, sizeof(bytes), &len);
        if (status == ST_OK && !take(caller, (struct span){bytes, len}))
            return false;
        sum += status == ST_OK ? len : 0;
    } while (status == ST_OK && sum < READ_A_TURN && wants_more(caller));
    if (status != ST_OK && status != ST_AGAIN) {
        end(caller);
        return false;
    }
    tell(caller);
    h2_caller_wants_turn(caller);
    return true;
}

static void turn(struct mail *mail)
{
    struct h2_caller *caller = CONTAINER_OF(mail, struct h2_caller, turn);

    /* What the last turn had no time to read. */
    if (!caller->transport->can_read || receive(caller))
        go_on(caller);
}

static void ready(struct transport *transport)
{
    struct h2_caller *caller = transport->arg;

    if (transport->can_read)
        (void)receive(caller);
    else
        h2_caller_wants_turn(caller);
}

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct h2_caller *caller = CONTAINER_OF(timer, struct h2_caller, timer);

    (void)now_ns;
    caller->winding_down = caller->last_said = true;
    h2_session_goaway(caller->session, H2_NO_ERROR);
    h2_caller_wants_turn(caller);
}

void h2_caller_allow(struct h2_caller *caller, uint32_t max_streams, bool tunnels)
{
    h2_session_allow(caller->session, max_streams, tunnels);
    if (h2_session_has_frames(caller->session))
        h2_caller_wants_turn(caller);
}

void h2_caller_wind_down(struct h2_caller *caller)
{
    if (caller->winding_down)
        return;
    caller->winding_down = true;
    h2_session_shut(caller->session);
    set_timer(caller, LAST_CALL_NS);
    h2_caller_wants_turn(caller);
}

struct h2_caller *h2_caller_new(struct h1_caller *base, uint32_t max_streams, bool tunnels,
                                struct h2_caller **at)
{
    struct h2_caller *caller = mem_zalloc(sizeof(*caller));
    const struct caller_common *common = base->common;
    const struct h2_terms terms = {.side = H2_SERVER,
                                   .max_streams = max_streams,
                                   .tunnels = tunnels,
                                   .window = WINDOW,
                                   .head_max = (uint32_t)common->request_head_max,
                                   .events = &h2_caller_events,
                                   .user = caller};

    if (caller == NULL || timer_init(&common->loop->timers, &caller->timer, time_is_up) != ST_OK) {
        mem_free(caller);
        return NULL;
    }
    caller->session = h2_session_new(&terms);
    if (caller->session == NULL) {
        timer_fini(&common->loop->timers, &caller->timer);
        mem_free(caller);
        return NULL;
    }
    caller->base = base;
    caller->at = at;
    caller->common = common;
    list_init(&caller->streams);
    list_init(&caller->news);
    mail_init(&caller->turn, turn);
    return caller;
}

void h2_caller_start(struct h2_caller *caller)
{
    struct buffer first = h1_caller_lend(caller->base, ready, caller);

    caller->transport = &caller->base->transport;
    set_idle_timer(caller);
    if (caller->base->winding_down)
        h2_caller_wind_down(caller);
    if (!take(caller, buffer_span(&first))) {
        buffer_close(&caller->common->loop->spare_buffers, &first);
        return;
    }
    buffer_close(&caller->common->loop->spare_buffers, &first);
    (void)receive(caller);
}
