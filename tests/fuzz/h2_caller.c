/*
 * What a caller sends over HTTP/2: wire/h2_caller with its session and streams, over a transport that has the bytes.
 *
 * Input: a byte for how the bytes arrive, one for what users of streams do, then the caller's bytes, behind the preface.
 */
#include <string.h>

#include "base/mem.h"
#include "http/forward.h"
#include "runtime/loop.h"
#include "wire/caller.h"
#include "wire/h1_caller.h"
#include "wire/h2_caller.h"
#include "peer.h"

#define HEAD_MAX   4096u
#define STREAMS    16u
#define ROUNDS_MAX 100000
#define PREFACE    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* ---- the world: a socket that gives what the input has, and a loop that turns when it is told to -------- */

static uint8_t manner;
static bool has_closed;

enum status transport_open_accepted(struct transport *transport, struct loop *of, int fd,
                                    transport_fn on_ready)
{
    *transport =
        (struct transport){.loop = of, .fd = fd, .on_ready = on_ready, .can_read = true, .can_write = true};
    return ST_OK;
}

void transport_close(struct transport *transport)
{
    transport->fd = -1;
}

void transport_reset(struct transport *transport)
{
    transport->fd = -1;
}

void transport_end_write(struct transport *transport)
{
    (void)transport;
}

bool transport_was_reset(const struct transport *transport)
{
    (void)transport;
    return false;
}

bool transport_has_hung_up(const struct transport *transport)
{
    (void)transport;
    return false;
}

bool transport_peer_is_gone(const struct transport *transport)
{
    (void)transport;
    return false;
}

enum status transport_write(struct transport *transport, const struct iovec *pieces, int count, size_t *len)
{
    (void)transport;
    *len = 0;
    for (int i = 0; i < count; i++)
        *len += pieces[i].iov_len;
    return ST_OK;
}

int64_t loop_refresh_now(struct loop *of)
{
    (void)of;
    return 1;
}

/* ---- who has the streams ------------------------------------------------------------------------------- */

struct user {
    struct stream *stream;
    struct list_node node;
    uint64_t taken;
    uint32_t number;
    bool open, answered;
};

static struct list_node users;
static uint32_t places, streams;

static void check_head(const struct http1_head *head)
{
    MUST(http1_is_token(head->method));
    MUST((head->known & HTTP1_BIT(TRANSFER_ENCODING)) == 0 || head->framing == HTTP1_CHUNKED);
    for (uint32_t i = 0; i < head->field_count; i++)
        MUST(http1_is_token(head->fields[i].name) && http1_is_field_value(head->fields[i].value));
}

static void end_user(struct user *user, bool is_cut)
{
    list_remove(&user->node);
    if (is_cut)
        stream_cut(user->stream);
    else
        stream_finish(user->stream);
    mem_free(user);
}

/* False: the stream is over. */
static bool take_content(struct user *user)
{
    struct stream_piece piece;

    for (int i = 0; i < ROUNDS_MAX; i++) {
        enum stream_result result = stream_peek(user->stream, user->taken == 0, &piece);

        if (result == STREAM_BAD)
            return false;
        user->taken += piece.data.len;
        stream_take(user->stream, piece.data.len);
        if (piece.last) {
            MUST(user->stream->ended && user->taken == user->stream->received);
            return true;
        }
        result = stream_receive(user->stream);
        if (result != STREAM_OK)
            return result == STREAM_WAIT;
    }
    MUST(false); /* it goes on for ever */
}

static bool read_head(struct user *user)
{
    struct http1_head *head;
    enum stream_result result;

    while (!user->open) {
        result = stream_head(user->stream, &head);
        if (result == STREAM_OK) {
            check_head(head);
            user->open = true;
        } else if (result != STREAM_LINE) {
            return result == STREAM_WAIT;
        }
    }
    return true;
}

static void ready(struct stream *stream)
{
    struct user *user = stream->user;

    MUST(user->stream == stream);
    if (stream->lost || !read_head(user) || (user->open && !take_content(user)))
        end_user(user, true);
    else if (user->open && user->stream->ended && (manner & 1u << (user->number % 8)) != 0)
        end_user(user, true); /* a call that is cut */
}

static bool begin(void *owner, struct stream *stream, int64_t now_ns)
{
    struct user *user = mem_zalloc(sizeof(*user));

    (void)owner;
    (void)now_ns;
    MUST(user != NULL);
    user->stream = stream;
    user->number = streams++;
    stream->ready = ready;
    stream->user = user;
    list_push_back(&users, &user->node);
    return true;
}

static bool take_place(void *owner)
{
    (void)owner;
    MUST(places < STREAMS);
    places++;
    return true;
}

static void give_place(void *owner)
{
    (void)owner;
    MUST(places > 0);
    places--;
}

static void closed(void *owner)
{
    (void)owner;
    has_closed = true;
}

static const struct caller_user user_of_connection = {
    .begin = begin, .take_place = take_place, .give_place = give_place, .closed = closed};

static void turn(void)
{
    struct list_node all, *node;

    list_init(&all);
    list_append_all(&all, &loop.deferred);
    while ((node = list_take_front(&all)) != NULL) {
        struct mail *mail = CONTAINER_OF(node, struct mail, node);

        mail->fn(mail);
    }
    while ((node = list_take_front(&loop.free_later)) != NULL) {
        struct deferred_free *one = CONTAINER_OF(node, struct deferred_free, node);

        one->free_fn(one);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(HEAD_MAX * 2)];
    static struct http1_head parsed = HTTP1_HEAD_OVER(fields);
    static char text[HEAD_MAX * 4];
    struct caller_common common = {.loop = &loop,
                                   .user = &user_of_connection,
                                   .parsed = &parsed,
                                   .text = text,
                                   .text_cap = sizeof(text),
                                   .request_head_max = HEAD_MAX,
                                   .response_head_max = HEAD_MAX,
                                   .idle_ns = 1000,
                                   .handshake_ns = 1000,
                                   .head_timeout_ns = 1000};
    struct h1_caller base;
    struct h2_caller *h2 = NULL;

    peer = (struct input){data, len};
    pace = input_byte(&peer);
    manner = input_byte(&peer);
    list_init(&loop.deferred);
    list_init(&loop.free_later);
    list_init(&users);
    timers_init(&loop.timers);
    places = streams = 0;
    has_closed = false;
    MUST(h1_caller_open(&base, &common, NULL, 7, false) == ST_OK);
    MUST(buffer_reserve(&loop.spare_buffers, &base.in, sizeof(PREFACE), HEAD_MAX) == ST_OK);
    memcpy(base.in.data, PREFACE, sizeof(PREFACE) - 1);
    base.in.end = sizeof(PREFACE) - 1;
    h2 = h2_caller_new(&base, STREAMS, false, &h2);
    MUST(h2 != NULL);
    h2_caller_start(h2);
    for (int i = 0; h2 != NULL && i < ROUNDS_MAX; i++) {
        MUST(i < ROUNDS_MAX - 1);
        turn();
        if (h2 != NULL)
            base.transport.on_ready(&base.transport);
    }
    turn();
    MUST(list_is_empty(&users) && places == 0);
    if (!has_closed)
        h1_caller_close(&base);
    turn();
    timers_fini(&loop.timers);
    buffer_drop_spares(&loop.spare_buffers);
    MUST(has_closed && list_is_empty(&loop.deferred));
    return 0;
}
