/* Behaviours that fail: what curfew is there for. */
#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/pattern.h"
#include "faulty/reply.h"

#define MS_PER_DAY    86400000
#define HALF_MAX      (UINT64_C(1) << 40)
/* What a drip without an end promises. */
#define DRIP_FOR_EVER (UINT64_C(1) << 40)
/* A drip does not pile up for a peer that has stopped reading. */
#define BACKLOG_MAX   ((size_t)4096)

static void answer_stuck(struct faulty_conn *c)
{
    (void)c; /* that is all it does */
}

/* ------------------------------------------------------------------------------------------ drips */

static void answer_drip(struct faulty_conn *c)
{
    uint64_t bytes = c->args.has_bytes ? c->args.bytes : DRIP_FOR_EVER;

    c->source.chunked =
        faulty_reply_promise(c, 200, c->args.chunked ? FAULTY_BY_CHUNKS : FAULTY_BY_LENGTH, bytes);
    c->count = bytes;
    if (c->head)
        c->source.chunked = false;
    if (c->head || bytes == 0)
        faulty_conn_end(c);
    else
        faulty_conn_tick_every(c, c->args.value * 1000);
}

static void tick_drip(struct faulty_conn *c)
{
    struct span byte = faulty_pattern(c->source.offset, 1);

    if (evbuffer_get_length(c->out) >= BACKLOG_MAX)
        return;
    if (c->source.chunked)
        faulty_conn_put(c, "1\r\n", 3);
    faulty_conn_put(c, byte.ptr, byte.len);
    if (c->source.chunked)
        faulty_conn_put(c, "\r\n", 2);
    c->source.offset++;
    if (--c->count == 0)
        faulty_conn_end(c);
}

/* The whole response is made, taken back from the output and kept, and given out byte by byte. */
static void answer_headdrip(struct faulty_conn *c)
{
    c->kept = evbuffer_new();
    faulty_reply_ok(c);
    c->ended = false;
    if (c->kept == NULL || evbuffer_add_buffer(c->kept, c->out) != 0)
        faulty_conn_reset(c);
    else
        faulty_conn_tick_every(c, c->args.value * 1000);
}

static void tick_headdrip(struct faulty_conn *c)
{
    if (evbuffer_get_length(c->out) >= BACKLOG_MAX)
        return;
    if (evbuffer_remove_buffer(c->kept, c->out, 1) != 1)
        faulty_conn_reset(c);
    else if (evbuffer_get_length(c->kept) == 0)
        faulty_conn_end(c);
}

/* ------------------------------------------------------------------------------- broken responses */

static void answer_half(struct faulty_conn *c)
{
    faulty_reply_half(c, c->args.value);
}

static void head_reset(struct faulty_conn *c, struct span head)
{
    (void)head;
    faulty_conn_reset(c);
}

/* ----------------------------------------------------------------------------------------- /flaky */

/* The finaliser of splitmix64: spreads a seed over all bits. */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/*
 * Of every 100 requests exactly PERCENT fail. 37 has no divisor in common with 100, so the places of 100 requests in
 * a row are all different; where they start depends on the seed.
 */
static void answer_flaky(struct faulty_conn *c)
{
    struct faulty_server *server = c->server;
    uint64_t n = server->flaky_count++;
    uint64_t place = (n * 37 + mixed(server->seed + n / 100) % 100) % 100;

    if (place >= c->args.value) {
        faulty_reply_ok(c);
        return;
    }
    switch (server->flaky_failures++ % 3) {
    case 0: faulty_conn_reset(c); break;
    case 1: faulty_reply_half(c, 1000); break;
    default: faulty_reply_text(c, 500, "text/plain", SPAN_LIT("flaky\n")); break;
    }
}

const struct faulty_behaviour faulty_faults[] = {
    {.path = "/stuck", .help = "never answers", .answer = answer_stuck},
    {.path = "/drip/",
     .arg = "MS",
     .min = 1,
     .max = MS_PER_DAY,
     .params = "[?bytes=N&chunked]",
     .help = "200: the head at once, then a byte every MS, without end or N of them",
     .answer = answer_drip,
     .tick = tick_drip},
    {.path = "/headdrip/",
     .arg = "MS",
     .min = 1,
     .max = MS_PER_DAY,
     .help = "200, head and content a byte every MS",
     .answer = answer_headdrip,
     .tick = tick_headdrip},
    {.path = "/half/",
     .arg = "N",
     .max = HALF_MAX,
     .params = "[?chunked]",
     .help = "promises N bytes, sends N/2 and closes",
     .answer = answer_half},
    {.path = "/reset",
     .help = "a TCP reset as soon as the head has been read",
     .head = head_reset,
     .answer = answer_stuck},
    {.path = "/garbage", .help = "bytes that are not HTTP, then close", .answer = faulty_reply_garbage},
    {.path = "/flaky/",
     .arg = "PERCENT",
     .max = 100,
     .help = "that share of requests fails: reset, half a response, 500 in turn; see --seed",
     .answer = answer_flaky},
    {.path = NULL},
};
