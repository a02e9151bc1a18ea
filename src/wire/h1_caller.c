#include "wire/h1_caller.h"

#include <string.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"
#include "wire/caller.h"
#include "wire/h1_receive.h"

/* How long a caller is listened to that has its answer and is still talking. */
#define LINGER_NS     (2 * NS_PER_S)
/* Reads of what it says then in one turn, so that others get theirs. */
#define DRAINS_A_TURN 16
/* Of HTTP/2's. */
#define PREFACE_LEN   24u
/* How long a connection that is to be closed waits for a request that may be on its way. */
#define LAST_CALL_NS  (250 * NS_PER_MS)

static struct h1_caller *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h1_caller, stream);
}

enum stream_result h1_caller_fail(struct h1_caller *caller, enum stream_result result, enum cause cause,
                                  const char *detail)
{
    caller->stream.fault = (struct stream_fault){.cause = cause, .detail = detail};
    return result;
}

static struct buffer_spares *spares_of(struct h1_caller *caller)
{
    return &caller->common->loop->spare_buffers;
}

static void set_timer(struct h1_caller *caller, int64_t length_ns)
{
    struct loop *loop = caller->common->loop;

    timer_set(&loop->timers, &caller->timer, loop_now(loop) + length_ns);
}

static void resume_later(struct h1_caller *caller)
{
    loop_undefer(&caller->resume);
    loop_defer(caller->common->loop, &caller->resume);
}

/* ---- the connection ------------------------------------------------------------------------------------ */

void h1_caller_close(struct h1_caller *caller)
{
    PRE(!caller->in_use);
    transport_close(&caller->transport);
    buffer_close(spares_of(caller), &caller->in);
    timer_fini(&caller->common->loop->timers, &caller->timer);
    loop_undefer(&caller->resume);
    caller->common->user->closed(caller->owner);
}

static void begin(struct h1_caller *caller);

/* Between requests, nobody is told: the caller only has to connect again. */
static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct h1_caller *caller = CONTAINER_OF(timer, struct h1_caller, timer);

    (void)now_ns;
    if (caller->in_handshake && !caller->winding_down)
        caller->common->user->handshake_is_late(caller->owner);
    if (caller->first_ns != 0)
        begin(caller); /* what stops in the middle of HTTP/2's preface is a request that stops in its line */
    else
        h1_caller_close(caller);
}

/* Takes what the caller still sends, to throw it away. */
static void drain(struct h1_caller *caller)
{
    char bytes[4096];
    enum status status = ST_OK;
    size_t len;

    for (int i = 0; i < DRAINS_A_TURN && status == ST_OK; i++)
        status = transport_read(&caller->transport, bytes, sizeof(bytes), &len);
    if (status == ST_OK)
        resume_later(caller);
    else if (status != ST_AGAIN)
        h1_caller_close(caller);
}

void h1_caller_linger(struct h1_caller *caller)
{
    PRE(!caller->in_use && !caller->lingering);
    caller->in_handshake = false;
    caller->lingering = true;
    buffer_close(spares_of(caller), &caller->in);
    transport_end_write(&caller->transport);
    set_timer(caller, LINGER_NS);
    drain(caller);
}

/* Between requests: for how long one may still come. */
static void set_idle_timer(struct h1_caller *caller)
{
    set_timer(caller, caller->winding_down ? LAST_CALL_NS : caller->common->idle_ns);
}

static void await_next(struct h1_caller *caller)
{
    buffer_close_if_empty(spares_of(caller), &caller->in);
    set_idle_timer(caller);
    if (buffer_len(&caller->in) != 0 || caller->transport.can_read)
        resume_later(caller);
}

static void end_use(struct h1_caller *caller)
{
    PRE(caller->in_use);
    caller->in_use = false;
    h1_writer_fini(&caller->turn.writer);
    mem_free(caller->turn.kept_head);
}

/*
 * A connection that is not kept lingers if the caller may still be talking. Under TLS the end has to be told as such,
 * which the socket may not take at once.
 */
static void finish(struct stream *stream)
{
    struct h1_caller *caller = of(stream);

    /* An upstream that answered early may not have taken all of the content: what it left behind is no request. */
    if (!stream->ended || caller->turn.reader.data != 0)
        h1_caller_discard(stream);
    end_use(caller);
    if (stream->ended && stream->persistent)
        await_next(caller);
    else if (stream->ended && buffer_len(&caller->in) == 0 && !caller->transport.can_read &&
             caller->transport.ssl == NULL)
        h1_caller_close(caller);
    else
        h1_caller_linger(caller);
}

static void cut(struct stream *stream)
{
    struct h1_caller *caller = of(stream);

    end_use(caller);
    transport_reset(&caller->transport);
    h1_caller_close(caller);
}

static void again(struct stream *stream)
{
    resume_later(of(stream));
}

static const struct stream_ops ops = {
    .protocol = "http/1.1",
    .head = h1_caller_read_head,
    .peek = h1_caller_peek,
    .take = h1_caller_take,
    .receive = h1_caller_receive,
    .read_start = h1_caller_read_start,
    .has_all = h1_caller_has_all,
    .discard = h1_caller_discard,
    .send_response = h1_caller_send_response,
    .keep_response = h1_caller_keep_response,
    .drop_response = h1_caller_drop_response,
    .send = h1_caller_send,
    .tunnel = h1_caller_tunnel,
    .again = again,
    .is_gone = h1_caller_is_gone,
    .finish = finish,
    .cut = cut,
};

/* The first byte of a request is there. */
static void begin(struct h1_caller *caller)
{
    struct loop *loop = caller->common->loop;
    int64_t now_ns;

    PRE(!caller->in_use); /* one request at a time */
    caller->stream = (struct stream){.ops = &ops, .heard = true, .begun = true};
    caller->turn = (struct h1_turn){.minor = 1};
    now_ns = caller->first_ns != 0 ? caller->first_ns : loop_refresh_now(loop);
    caller->first_ns = 0;
    if (!caller->common->user->begin(caller->owner, &caller->stream, now_ns)) {
        h1_caller_close(caller);
        return;
    }
    caller->in_use = true;
    timer_set(&loop->timers, &caller->timer, NS_NEVER);
    caller->stream.ready(&caller->stream);
}

/*
 * What old software sends behind its content is no part of a request (RFC 9112 2.2): nothing has begun that could get
 * stuck, and an answer to it would be taken for that to the next request.
 */
static bool is_empty_line(struct span bytes)
{
    return span_eq(bytes, SPAN_LIT("\r\n")) || span_eq(bytes, SPAN_LIT("\r"));
}

/* What HTTP/2 begins with (RFC 9113 3.4), as far as it has come. No request of HTTP/1.1 has it. */
static bool is_preface(struct span bytes)
{
    static const char preface[PREFACE_LEN + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t len = bytes.len < PREFACE_LEN ? bytes.len : PREFACE_LEN;

    return memcmp(bytes.ptr, preface, len) == 0;
}

/* It may become either: it is not waited for any longer than for a head. */
static void await_rest_of_preface(struct h1_caller *caller)
{
    if (caller->first_ns != 0)
        return;
    caller->first_ns = loop_refresh_now(caller->common->loop);
    set_timer(caller, caller->common->head_timeout_ns);
}

/*
 * A request, whose time runs from its first byte, or HTTP/2, which nothing but its preface tells from one. False: of
 * that, more is needed.
 */
static bool begin_something(struct h1_caller *caller)
{
    struct span bytes = buffer_span(&caller->in);

    if (bytes.ptr[0] != 'P' || caller->common->user->speaks_h2 == NULL || !is_preface(bytes)) {
        begin(caller);
        return true;
    }
    if (bytes.len < PREFACE_LEN)
        return await_rest_of_preface(caller), false;
    caller->first_ns = 0; /* no request is due any more, but the connection may linger here at its end */
    caller->common->user->speaks_h2(caller->owner);
    return true;
}

static void await_request(struct h1_caller *caller)
{
    static const struct h1_reader none;
    enum status status;

    do {
        if (buffer_len(&caller->in) != 0 && !is_empty_line(buffer_span(&caller->in)) &&
            begin_something(caller))
            return;
        status = h1_receive(&caller->transport, &caller->in, &none, (uint32_t)caller->common->text_cap);
    } while (status == ST_OK);
    if (status != ST_AGAIN)
        h1_caller_close(caller);
}

static void go_on(struct h1_caller *caller)
{
    if (!caller->in_use) {
        caller->lingering ? drain(caller) : await_request(caller);
        return;
    }
    if (caller->turn.reader.open)
        h1_caller_look_for_end(caller);
    caller->stream.ready(&caller->stream);
}

static void ready(struct transport *transport)
{
    struct h1_caller *caller = CONTAINER_OF(transport, struct h1_caller, transport);

    if (caller->in_handshake)
        caller->common->user->handshake(caller->owner);
    else
        go_on(caller);
}

static void resume(struct mail *mail)
{
    go_on(CONTAINER_OF(mail, struct h1_caller, resume));
}

void h1_caller_wind_down(struct h1_caller *caller)
{
    caller->winding_down = true;
    if (caller->lingering)
        return;
    if (!caller->in_use)
        set_timer(caller, LAST_CALL_NS);
    else if (caller->turn.answer_len == 0)
        caller->stream.persistent = false;
}

struct buffer h1_caller_lend(struct h1_caller *caller, transport_fn on_ready, void *arg)
{
    struct buffer in = caller->in;

    PRE(!caller->in_use && !caller->lingering);
    caller->in = (struct buffer){0};
    caller->transport.on_ready = on_ready;
    caller->transport.arg = arg;
    timer_set(&caller->common->loop->timers, &caller->timer, NS_NEVER);
    loop_undefer(&caller->resume);
    return in;
}

void h1_caller_take_back(struct h1_caller *caller)
{
    caller->transport.on_ready = ready;
    caller->transport.arg = NULL;
}

void h1_caller_start(struct h1_caller *caller)
{
    caller->in_handshake = false;
    set_idle_timer(caller);
    go_on(caller);
}

enum status h1_caller_open(struct h1_caller *caller, const struct caller_common *common, void *owner, int fd,
                           bool has_handshake)
{
    *caller = (struct h1_caller){.common = common, .owner = owner, .in_handshake = has_handshake};
    if (transport_open_accepted(&caller->transport, common->loop, fd, ready) != ST_OK)
        return ST_NOMEM;
    if (timer_init(&common->loop->timers, &caller->timer, time_is_up) != ST_OK) {
        transport_close(&caller->transport);
        return ST_NOMEM;
    }
    mail_init(&caller->resume, resume);
    set_timer(caller, has_handshake ? common->handshake_ns : common->idle_ns);
    return ST_OK;
}
