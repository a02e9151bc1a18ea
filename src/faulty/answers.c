/* Behaviours that are correct HTTP, though slow, large or unusual. */
#include <inttypes.h>
#include <stdio.h>

#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/reply.h"

#define TIB        (UINT64_C(1) << 40)
#define MS_PER_DAY 86400000

static void answer_bytes(struct faulty_conn *c)
{
    faulty_reply_pattern(c, FAULTY_BY_LENGTH, c->args.value);
}

static void answer_chunked(struct faulty_conn *c)
{
    faulty_reply_pattern(c, FAULTY_BY_CHUNKS, c->args.value);
}

static void answer_delay(struct faulty_conn *c)
{
    if (c->args.value == 0)
        faulty_reply_ok(c);
    else
        faulty_conn_tick_every(c, c->args.value * 1000);
}

static void tick_delay(struct faulty_conn *c)
{
    faulty_conn_tick_stop(c);
    faulty_reply_ok(c);
}

static void answer_status(struct faulty_conn *c)
{
    faulty_reply_status(c, (int)c->args.value);
}

static void answer_close(struct faulty_conn *c)
{
    if (c->args.has_bytes) {
        faulty_reply_pattern(c, FAULTY_BY_CLOSE, c->args.bytes);
        return;
    }
    (void)faulty_reply_promise(c, 200, FAULTY_BY_CLOSE, 0);
    if (!c->head)
        faulty_conn_put(c, "ok\n", 3);
    faulty_conn_end(c);
}

static void answer_http10(struct faulty_conn *c)
{
    c->reply_minor = 0;
    c->close = true;
    if (c->args.no_length)
        answer_close(c);
    else if (c->args.has_bytes)
        faulty_reply_pattern(c, FAULTY_BY_LENGTH, c->args.bytes);
    else
        faulty_reply_ok(c);
}

static void answer_trailers(struct faulty_conn *c)
{
    bool chunked;

    if (c->minor == 0) {
        answer_close(c);
        return;
    }
    faulty_reply_head(c, 200,
                      "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
                      "Trailer: X-Checksum, X-Count\r\n");
    chunked = !c->head;
    c->source = (struct faulty_source){.left = !chunked            ? 0
                                               : c->args.has_bytes ? c->args.bytes
                                                                   : 100,
                                       .chunked = chunked,
                                       .trailers = "X-Checksum: 12345678\r\nX-Count: 1\r\n"};
    faulty_conn_end(c);
}

static void answer_hints(struct faulty_conn *c)
{
    if (c->minor == 1)
        faulty_reply_head(c, 103, "Link: </style.css>; rel=preload; as=style\r\n");
    faulty_reply_ok(c);
}

const struct faulty_behaviour faulty_answers[] = {
    {.path = "/ok", .help = "200 with the content \"ok\" and a line feed", .answer = faulty_reply_ok},
    {.path = "/bytes/",
     .arg = "N",
     .max = TIB,
     .help = "200 with N bytes, of which number n is \"0…9A…Za…y\"[n % 61]",
     .answer = answer_bytes},
    {.path = "/chunked/", .arg = "N", .max = TIB, .help = "the same in chunks", .answer = answer_chunked},
    {.path = "/delay/",
     .arg = "MS",
     .max = MS_PER_DAY,
     .help = "200 after MS milliseconds",
     .answer = answer_delay,
     .tick = tick_delay},
    {.path = "/status/",
     .arg = "CODE",
     .min = 100,
     .max = 599,
     .help = "that status; 204 and 304 without content; 1xx: sent first, then 200",
     .answer = answer_status},
    {.path = "/close",
     .params = "[?bytes=N]",
     .help = "200 without a length: the content ends with the connection",
     .answer = answer_close},
    {.path = "/http10",
     .params = "[?bytes=N&nolength]",
     .help = "an HTTP/1.0 response, then close",
     .answer = answer_http10},
    {.path = "/trailers",
     .params = "[?bytes=N]",
     .help = "200 in chunks, followed by the trailer fields X-Checksum and X-Count",
     .answer = answer_trailers},
    {.path = "/hints", .help = "103 with a Link field, then 200", .answer = answer_hints},
    {.path = NULL},
};
