/*
 * What an API sends over HTTP/2: wire/h2_exchange with its connection and session, over a transport that has the bytes.
 *
 * Input: a byte for the request, one for how the bytes arrive and how fast content goes on, then the API's bytes.
 */
#include <string.h>

#include "base/mem.h"
#include "http/outgoing.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"
#include "wire/h2_exchange.h"
#include "fuzz.h"

#define HEAD_MAX   4096u
#define WINDOW     65536u
#define ROUNDS_MAX 100000

/* ---- the world: a socket that gives what the input has, and a loop that does not turn ------------------- */

static struct input api;
static uint8_t pace;
static struct loop loop;

enum status transport_read(struct transport *transport, void *bytes, size_t cap, size_t *len)
{
    size_t most = pace % 7 == 0 ? cap : pace;

    (void)transport;
    if (api.left == 0)
        return ST_EOF;
    *len = api.left < most ? api.left : most;
    *len = *len < cap ? *len : cap;
    memcpy(bytes, api.at, *len);
    api.at += *len;
    api.left -= *len;
    return ST_OK;
}

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

int64_t loop_now(struct loop *of)
{
    (void)of;
    return 1;
}

bool loop_is_own(const struct loop *of)
{
    (void)of;
    return true;
}

void loop_defer(struct loop *of, struct mail *mail)
{
    list_push_back(&of->deferred, &mail->node);
}

void loop_undefer(struct mail *mail)
{
    list_remove(&mail->node);
}

void mail_init(struct mail *mail, mail_fn fn)
{
    list_init(&mail->node);
    mail->fn = fn;
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

/* All of the request, as far as it goes. */
static void send_request(struct stream *stream, bool has_content)
{
    static char content[40000];
    struct stream_piece piece = {.data = {content, has_content ? sizeof(content) : 0}, .last = true};
    size_t taken;

    for (int i = 0; i < 100; i++) {
        enum stream_result result;

        if (stream->lost)
            return;
        result = stream_send(stream, &piece, &taken);
        MUST(taken <= piece.data.len);
        piece.data = (struct span){piece.data.ptr + taken, piece.data.len - taken};
        if (result != STREAM_WAIT)
            return;
    }
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

static void run(struct h2_exchange *exchange, bool has_content)
{
    struct stream *stream = &exchange->stream;
    uint64_t taken = 0;
    bool open = false;

    send_request(stream, has_content);
    for (int i = 0; i < ROUNDS_MAX; i++) {
        struct http1_head *head;
        enum stream_result result;

        while (!open && stream->begun && (result = stream_head(stream, &head)) != STREAM_WAIT) {
            if (result != STREAM_OK)
                return;
            check_head(head);
            open = head->code >= 200;
        }
        if (open && !take_content(stream, &taken))
            return;
        result = stream_receive(stream);
        if (result != STREAM_OK)
            return;
    }
    MUST(false); /* it goes on for ever */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct http1_field fields[HTTP1_FIELDS_IN(HEAD_MAX * 2)];
    static struct http1_head parsed = HTTP1_HEAD_OVER(fields);
    static const struct forward_rules rules;
    struct transport transport = {.can_read = true, .can_write = true, .loop = &loop};
    struct h2_connection *connection;
    struct h2_exchange *exchange;
    unsigned which;

    api = (struct input){data, len};
    which = input_byte(&api) % 4;
    pace = input_byte(&api);
    list_init(&loop.deferred);
    connection = h2_connection_new(&transport, &loop,
                                   &(struct h2_connection_terms){WINDOW, HEAD_MAX, &h2_exchange_events});
    exchange = h2_exchange_new(&loop, &parsed);
    MUST(connection != NULL && exchange != NULL);
    h2_exchange_begin(exchange, connection,
                      &(struct h2_exchange_terms){.method = methods[which],
                                                  .rules = &rules,
                                                  .head_max = HEAD_MAX,
                                                  .head_cap = 2 * HEAD_MAX,
                                                  .window = WINDOW});
    exchange->head = span_of(heads[which]);
    run(exchange, methods[which] == HTTP1_POST);
    h2_exchange_free(exchange);
    h2_connection_free(connection);
    MUST(list_is_empty(&loop.deferred));
    buffer_drop_spares(&loop.spare_buffers);
    return 0;
}
