/*
 * What an API sends over HTTP/2: wire/h2_exchange with its connection and session, over a transport that has the bytes.
 *
 * Input: a byte for the request, one for how the bytes arrive and how fast content goes on, then the API's bytes.
 */
#include "base/mem.h"
#include "http/outgoing.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"
#include "wire/h2_exchange.h"
#include "peer.h"

#define HEAD_MAX   4096u
#define WINDOW     65536u
#define ROUNDS_MAX 100000

/* ---- the rest of the world: a socket that takes everything, and a loop that does not turn --------------- */

enum status transport_write(struct transport *transport, const struct iovec *pieces, int count, size_t *len)
{
    (void)transport;
    MUST(count == 1 && pieces[0].iov_len != 0);
    *len = pieces[0].iov_len;
    return ST_OK;
}

bool tls_transport_why(const struct transport *transport, char *why, size_t why_cap)
{
    (void)transport;
    (void)why;
    (void)why_cap;
    return false;
}

bool loop_is_own(const struct loop *of)
{
    (void)of;
    return true;
}

/* ---- one exchange -------------------------------------------------------------------------------------- */

static const char *const heads[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\nAuthorization: b\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
};
static const enum http1_method methods[] = {HTTP1_GET, HTTP1_HEAD, HTTP1_POST, HTTP1_POST};

static void check_head(const struct http1_head *head)
{
    MUST(head->code >= 100 && head->code <= 999 && head->code != 101);
    MUST((head->known & HTTP1_BIT(TRANSFER_ENCODING)) == 0 && head->keep_alive);
    for (uint32_t i = 0; i < head->field_count; i++)
        MUST(http1_is_token(head->fields[i].name) && http1_is_field_value(head->fields[i].value));
}

/* Who has the exchange. */
struct user {
    struct h2_exchange *exchange; /* NULL: it has no connection */
    struct stream_piece request;  /* what is left of it */
    uint64_t taken;
    bool open, sent, over;
};

/* As much of the request as goes. */
static void send_request(struct user *user, struct stream *stream)
{
    size_t taken;

    if (user->sent || stream->lost)
        return;
    user->sent = stream_send(stream, &user->request, &taken) != STREAM_WAIT;
    MUST(taken <= user->request.data.len);
    user->request.data = (struct span){user->request.data.ptr + taken, user->request.data.len - taken};
}

/* False: it is over. */
static bool take_content(struct stream *stream, uint64_t *taken)
{
    struct stream_piece piece;

    if (stream_peek(stream, *taken == 0, &piece) == STREAM_BAD)
        return false;
    *taken += piece.data.len;
    stream_take(stream, piece.data.len);
    if (!piece.last)
        return true;
    MUST(stream->ended && stream_has_all(stream) && *taken == stream->received);
    (void)stream_let_go(stream);
    return false;
}

/* False: it is over. */
static bool take_all(struct user *user, struct stream *stream)
{
    struct http1_head *head;
    enum stream_result result;

    while (!user->open && stream->begun && (result = stream_head(stream, &head)) != STREAM_WAIT) {
        if (result != STREAM_OK)
            return false;
        check_head(head);
        user->open = head->code >= 200;
    }
    return !user->open || take_content(stream, &user->taken);
}

static void exchange_ready(void *owner)
{
    struct user *user = owner;
    struct stream *stream = &user->exchange->stream;

    send_request(user, stream);
    for (int i = 0; !user->over; i++) {
        MUST(i < ROUNDS_MAX); /* or it goes on for ever */
        user->over = !take_all(user, stream);
        if (user->over || stream_receive(stream) == STREAM_WAIT)
            break;
        user->over = stream->fault.cause != CAUSE_NONE;
    }
    if (user->over && user->exchange != NULL)
        (void)h2_exchange_cut(user->exchange);
}

static void moved(void *owner)
{
    (void)owner;
}

static void went_away(void *owner, uint32_t code, bool is_too_many_pings)
{
    (void)owner;
    (void)code;
    (void)is_too_many_pings;
}

static const struct h2_connection_user user_of_connection = {
    .ready = exchange_ready, .moved = moved, .went_away = went_away, .resets = moved};

static void turn(struct h2_connection *connection, struct user *user)
{
    for (int i = 0; connection->lost == ST_OK && user->exchange != NULL; i++) {
        MUST(i < ROUNDS_MAX);
        h2_connection_run(connection);
    }
}

static void free_all(struct list_node *later)
{
    while (!list_is_empty(later)) {
        struct deferred_free *one = CONTAINER_OF(list_take_front(later), struct deferred_free, node);

        one->free_fn(one);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(HEAD_MAX * 2)];
    static struct http1_head parsed = HTTP1_HEAD_OVER(fields);
    static const struct forward_rules rules;
    struct transport transport = {.can_read = true, .can_write = true, .loop = &loop};
    struct h2_connection *connection;
    struct h2_exchange *exchange;
    static char content[40000];
    struct user user = {.request.last = true};
    unsigned which;

    peer = (struct input){data, len};
    which = input_byte(&peer) % 4;
    pace = input_byte(&peer);
    list_init(&loop.deferred);
    list_init(&loop.free_later);
    connection = h2_connection_new(
        &transport, &loop,
        &(struct h2_connection_terms){WINDOW, HEAD_MAX, &h2_exchange_events, &h2_exchange_ops});
    exchange = h2_exchange_new(&loop, &parsed);
    MUST(connection != NULL && exchange != NULL);
    connection->user = &user_of_connection;
    connection->owner = &user;
    h2_exchange_begin(exchange, connection,
                      &(struct h2_exchange_terms){.method = methods[which],
                                                  .rules = &rules,
                                                  .head_max = HEAD_MAX,
                                                  .head_cap = 2 * HEAD_MAX,
                                                  .window = WINDOW,
                                                  .owner = &user,
                                                  .at = &user.exchange});
    exchange->head = span_of(heads[which]);
    user.request.data = (struct span){content, methods[which] == HTTP1_POST ? sizeof(content) : 0};
    exchange_ready(&user);
    turn(connection, &user);
    h2_exchange_free(exchange);
    h2_connection_free(connection);
    free_all(&loop.free_later);
    MUST(list_is_empty(&loop.deferred));
    buffer_drop_spares(&loop.spare_buffers);
    return 0;
}
