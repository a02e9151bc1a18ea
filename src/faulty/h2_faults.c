/* What only HTTP/2 has: resets with a code, requests that were not processed, and the answers of gRPC. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/h2.h"
#include "faulty/pattern.h"
#include "faulty/reply.h"

#define CODE_MAX   UINT32_MAX
#define TIB        (UINT64_C(1) << 40)
#define HINTS_MAX  100000
#define TIMES_MAX  UINT64_C(1000000000)
#define GOAWAY_LEN ((size_t)17)

/* NULL: it came by HTTP/1.1, and was answered; or its connection has gone, and nobody hears an answer. */
static struct faulty_h2_stream *need_h2(struct faulty_conn *c)
{
    struct faulty_h2_stream *stream = faulty_h2_stream_of(c);

    if (stream == NULL)
        faulty_reply_text(c, 505, "text/plain", SPAN_LIT("this path is for HTTP/2\n"));
    return stream != NULL && stream->h2 != NULL ? stream : NULL;
}

/* ------------------------------------------------------------------------------------------ resets */

static void answer_reset(struct faulty_conn *c)
{
    struct faulty_h2_stream *stream = need_h2(c);

    if (stream == NULL)
        return;
    stream->code = (enum h2_code)c->args.value;
    if (c->args.has_bytes)
        faulty_reply_half(c, 2 * c->args.bytes + 2);
    else
        faulty_conn_reset(c);
}

static bool is_reset(const struct faulty_args *args)
{
    return args->bytes <= TIB;
}

/* Is this one of the first requests of its path and key? */
static bool is_one_of_the_first(struct faulty_conn *c)
{
    uint64_t key = c->args.key ^ (uint64_t)c->behaviour->path[1] << 56; /* each path counts apart */

    return faulty_attempts_count(&c->server->attempts, key) <= c->args.value;
}

static void answer_refuse(struct faulty_conn *c)
{
    struct faulty_h2_stream *stream = need_h2(c);

    if (stream == NULL)
        return;
    if (!is_one_of_the_first(c)) {
        faulty_reply_ok(c);
        return;
    }
    stream->code = H2_REFUSED_STREAM;
    faulty_conn_reset(c);
}

/* ------------------------------------------------------------------------------------------ GOAWAY */

/* The session knows nothing of it: it would not say that of a stream which it has told us of. */
static void put_goaway(struct faulty_h2 *h2, uint32_t last, uint32_t code)
{
    unsigned char frame[GOAWAY_LEN] = {0, 0, 8, 7};

    for (int i = 0; i < 4; i++) {
        frame[9 + i] = (unsigned char)(last >> (24 - 8 * i));
        frame[13 + i] = (unsigned char)(code >> (24 - 8 * i));
    }
    faulty_h2_put(h2, frame, sizeof(frame));
}

static void answer_goaway(struct faulty_conn *c)
{
    struct faulty_h2_stream *stream = need_h2(c);

    if (stream == NULL)
        return;
    if (is_one_of_the_first(c))
        put_goaway(stream->h2, stream->id > 2 ? (uint32_t)stream->id - 2 : 0, (uint32_t)c->args.down);
    else
        faulty_reply_ok(c);
}

static bool is_goaway(const struct faulty_args *args)
{
    return args->down <= CODE_MAX;
}

static void answer_last(struct faulty_conn *c)
{
    struct faulty_h2_stream *stream = need_h2(c);

    if (stream == NULL)
        return;
    put_goaway(stream->h2, (uint32_t)stream->id, (uint32_t)c->args.value);
    faulty_reply_ok(c);
}

/* ------------------------------------------------------------------------------------------ others */

static void answer_deaf(struct faulty_conn *c)
{
    struct faulty_h2_stream *stream = need_h2(c);

    if (stream != NULL)
        stream->h2->deaf = true;
}

static void answer_hints(struct faulty_conn *c)
{
    for (uint64_t i = 0; i < c->args.value && c->minor == 1; i++)
        faulty_reply_head(c, 103, "Link: </style.css>; rel=preload; as=style\r\n");
    faulty_reply_ok(c);
}

/* -------------------------------------------------------------------------------------------- gRPC */

#define PREFIX_LEN 5

/* One message of so many bytes. */
static void put_message(struct faulty_conn *c, uint32_t promised, uint32_t sent)
{
    unsigned char prefix[PREFIX_LEN] = {0, (unsigned char)(promised >> 24), (unsigned char)(promised >> 16),
                                        (unsigned char)(promised >> 8), (unsigned char)promised};

    (void)evbuffer_add_printf(c->out, "5\r\n");
    faulty_conn_put(c, prefix, sizeof(prefix));
    faulty_conn_put(c, "\r\n", 2);
    for (uint64_t at = 0; at < sent;) {
        struct span piece = faulty_pattern(at, sent - at);

        (void)evbuffer_add_printf(c->out, "%zx\r\n", piece.len);
        faulty_conn_put(c, piece.ptr, piece.len);
        faulty_conn_put(c, "\r\n", 2);
        at += piece.len;
    }
}

static void begin_grpc(struct faulty_conn *c)
{
    faulty_reply_head(c, 200, "Content-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n");
}

static uint32_t message_len(const struct faulty_conn *c)
{
    return c->args.has_bytes ? (uint32_t)c->args.bytes : 3;
}

static void answer_grpc(struct faulty_conn *c)
{
    begin_grpc(c);
    put_message(c, message_len(c), message_len(c));
    (void)evbuffer_add_printf(c->out, "0\r\ngrpc-status: %" PRIu64 "\r\ngrpc-message: faulty\r\n\r\n",
                              c->args.value);
    faulty_conn_end(c);
}

static void answer_grpc_half(struct faulty_conn *c)
{
    begin_grpc(c);
    put_message(c, 2 * message_len(c), message_len(c));
    (void)evbuffer_add_printf(c->out, "0\r\ngrpc-status: %" PRIu64 "\r\n\r\n", c->args.value);
    faulty_conn_end(c);
}

static void answer_grpc_only(struct faulty_conn *c)
{
    char fields[128];

    (void)snprintf(fields, sizeof(fields),
                   "Content-Type: application/grpc\r\ngrpc-status: %" PRIu64 "\r\nContent-Length: 0\r\n",
                   c->args.value);
    faulty_reply_head(c, 200, fields);
    faulty_conn_end(c);
}

static void answer_grpc_drip(struct faulty_conn *c)
{
    begin_grpc(c);
    faulty_conn_tick_every(c, c->args.value * 1000);
}

/* A message each time, for ever; none for a peer that does not read. */
static void tick_grpc_drip(struct faulty_conn *c)
{
    if (evbuffer_get_length(c->out) < 4096)
        put_message(c, message_len(c), message_len(c));
}

static bool is_grpc(const struct faulty_args *args)
{
    return args->bytes <= 30000;
}

const struct faulty_behaviour faulty_h2_faults[] = {
    {.path = "/rst/",
     .arg = "CODE",
     .max = CODE_MAX,
     .params = "[?bytes=N]",
     .help = "HTTP/2: RST_STREAM with that code, before a head or behind N bytes",
     .is_good = is_reset,
     .answer = answer_reset},
    {.path = "/refuse/",
     .arg = "N",
     .max = TIMES_MAX,
     .params = "[?key=TEXT]",
     .help = "HTTP/2: REFUSED_STREAM for the first N requests of the path and key, then 200",
     .answer = answer_refuse},
    {.path = "/goaway/",
     .arg = "N",
     .max = TIMES_MAX,
     .params = "[?key=TEXT&down=CODE]",
     .help = "HTTP/2: for the first N, GOAWAY (of that code) whose last stream is below, then 200",
     .is_good = is_goaway,
     .answer = answer_goaway},
    {.path = "/last/",
     .arg = "CODE",
     .max = CODE_MAX,
     .help = "HTTP/2: 200, and GOAWAY of that code whose last stream this one is",
     .answer = answer_last},
    {.path = "/deaf",
     .help = "HTTP/2: nothing of the connection is read any more, nor is this answered",
     .answer = answer_deaf},
    {.path = "/hints/",
     .arg = "N",
     .max = HINTS_MAX,
     .help = "103 N times, then 200",
     .answer = answer_hints},
    {.path = "/grpc/",
     .arg = "STATUS",
     .max = UINT32_MAX,
     .params = "[?bytes=N]",
     .help = "gRPC: a message (of N bytes), then that grpc-status in trailers",
     .is_good = is_grpc,
     .answer = answer_grpc},
    {.path = "/grpc-only/",
     .arg = "STATUS",
     .max = UINT32_MAX,
     .help = "gRPC: that grpc-status in the head, and nothing else",
     .answer = answer_grpc_only},
    {.path = "/grpc-half/",
     .arg = "STATUS",
     .max = UINT32_MAX,
     .params = "[?bytes=N]",
     .help = "gRPC: half of a message, then that grpc-status in trailers",
     .is_good = is_grpc,
     .answer = answer_grpc_half},
    {.path = "/grpc-drip/",
     .arg = "MS",
     .min = 1,
     .max = 86400000,
     .params = "[?bytes=N]",
     .help = "gRPC: a message every MS, without end",
     .is_good = is_grpc,
     .answer = answer_grpc_drip,
     .tick = tick_grpc_drip},
    {.path = NULL},
};
