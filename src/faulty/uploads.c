/* Behaviours that differ in what they do with a request's content. The others read it all, then answer. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/reply.h"

#define ECHO_MAX       ((size_t)1 << 20)
#define SLOW_RATE_MAX  (UINT64_C(1) << 30)
#define SLOW_PERIOD_US 20000
#define RECEIVE_MIN    4096
#define RECEIVE_MAX    (1 << 20)
#define US_PER_S       UINT64_C(1000000)

/* ------------------------------------------------------------------------------------------ /echo */

/* What is beyond the limit is counted and not kept. */
static void keep(struct faulty_conn *c, struct span bytes)
{
    c->count += bytes.len;
    if (c->count <= ECHO_MAX && (c->kept == NULL || evbuffer_add(c->kept, bytes.ptr, bytes.len) != 0))
        faulty_conn_reset(c); /* no memory */
}

static void head_echo(struct faulty_conn *c, struct span head)
{
    c->kept = evbuffer_new();
    keep(c, head);
}

static void content_echo(struct faulty_conn *c, struct span wire, struct span data)
{
    keep(c, c->args.raw ? wire : data);
}

static void answer_echo(struct faulty_conn *c)
{
    if (c->count > ECHO_MAX) {
        faulty_reply_text(c, 413, "text/plain", SPAN_LIT("/echo takes requests of up to 1 MiB\n"));
        return;
    }
    (void)faulty_reply_promise(c, 200, FAULTY_BY_LENGTH, c->count);
    if (!c->head && evbuffer_add_buffer(c->out, c->kept) != 0)
        c->state = FAULTY_CONN_GONE;
    faulty_conn_end(c);
}

/* ------------------------------------------------------------------------------- /sink, /slowread */

/* CRC-32 of IEEE 802.3, as in gzip and Python's zlib.crc32. */
static uint32_t crc32_add(uint32_t crc, struct span bytes)
{
    static uint32_t table[256];

    if (table[1] == 0)
        for (uint32_t n = 0; n < 256; n++) {
            table[n] = n;
            for (int bit = 0; bit < 8; bit++)
                table[n] = table[n] >> 1 ^ (table[n] & 1 ? UINT32_C(0xedb88320) : 0);
        }
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++)
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)bytes.ptr[i]) & 0xff];
    return ~crc;
}

static void content_sink(struct faulty_conn *c, struct span wire, struct span data)
{
    (void)wire;
    c->count += data.len;
    c->crc = crc32_add(c->crc, data);
}

static void answer_sink(struct faulty_conn *c)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "{\"bytes\":%" PRIu64 ",\"crc32\":\"%08" PRIx32 "\"}\n", c->count,
                       c->crc);

    faulty_conn_tick_stop(c);
    faulty_reply_text(c, 200, "application/json", (struct span){text, (size_t)len});
}

/* About an eighth of a second's bytes, so that the sender feels the rate soon but is not held below it. */
static void set_receive_buffer(struct faulty_conn *c, uint64_t rate)
{
    uint64_t wanted = rate / 8;
    int bytes = wanted < RECEIVE_MIN ? RECEIVE_MIN : wanted > RECEIVE_MAX ? RECEIVE_MAX : (int)wanted;

    (void)setsockopt(c->transport.fd, SOL_SOCKET, SO_RCVBUF, &bytes,
                     sizeof(bytes)); /* then it is felt later */
}

/* A rate of 0 reads nothing at all. */
static void head_slowread(struct faulty_conn *c, struct span head)
{
    uint64_t rate = c->args.value;

    (void)head;
    set_receive_buffer(c, rate);
    c->allowance = 0;
    if (rate != 0)
        faulty_conn_tick_every(c, rate * SLOW_PERIOD_US < US_PER_S ? US_PER_S / rate : SLOW_PERIOD_US);
}

static void tick_slowread(struct faulty_conn *c)
{
    uint64_t grant = c->args.value * SLOW_PERIOD_US / US_PER_S;

    /* What was not there to be read in the last period isn't saved up. */
    c->allowance = grant != 0 ? grant : 1;
}

/* --------------------------------------------------------------------------------------- /early */

static void head_early(struct faulty_conn *c, struct span head)
{
    (void)head;
    faulty_reply_ok(c);
}

static void answer_early(struct faulty_conn *c)
{
    (void)c; /* it has answered long ago */
}

const struct faulty_behaviour faulty_uploads[] = {
    {.path = "/echo",
     .params = "[?raw]",
     .help = "200 with the request as received, up to 1 MiB; raw: content with its chunk framing",
     .head = head_echo,
     .content = content_echo,
     .answer = answer_echo},
    {.path = "/sink",
     .help = "reads content of any size; answers {\"bytes\":…,\"crc32\":\"…\"}",
     .content = content_sink,
     .answer = answer_sink},
    {.path = "/slowread/",
     .arg = "RATE",
     .max = SLOW_RATE_MAX,
     .help = "the same, reading RATE bytes a second (0: never any)",
     .head = head_slowread,
     .content = content_sink,
     .answer = answer_sink,
     .tick = tick_slowread},
    {.path = "/early",
     .help = "200 before the content has been read; the connection is kept",
     .head = head_early,
     .answer = answer_early},
    {.path = NULL},
};
