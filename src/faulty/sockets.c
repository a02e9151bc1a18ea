/* WebSockets (RFC 6455): one that sends back what comes, and one that says nothing. */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/reply.h"
#include "runtime/websocket.h"

/* A frame is sent back when all of it is here. */
#define FRAME_MAX ((size_t)16 << 20)
/* What is queued for a client that does not read: then nothing more is read of it, until less is. */
#define QUEUE_MAX ((size_t)1 << 20)
#define QUEUE_LOW ((size_t)64 << 10)
#define LOOK_US   10000

enum opcode { CLOSE = 0x8, PING = 0x9, PONG = 0xa };
enum close_code { CLOSE_PROTOCOL = 1002, CLOSE_TOO_BIG = 1009 };

/* The value of a field; empty if there is none. `head` is sound: it has been read before. */
static struct span find_field(struct span head, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = memchr(head.ptr, '\n', head.len); line != NULL;) {
        struct span rest = {line + 1, head.len - (size_t)(line + 1 - head.ptr)};
        const char *end = memchr(rest.ptr, '\r', rest.len);

        if (end != NULL && rest.len > len && rest.ptr[len] == ':' &&
            span_eq_nocase((struct span){rest.ptr, len}, span_of(name)))
            return span_trim((struct span){rest.ptr + len + 1, (size_t)(end - rest.ptr) - len - 1});
        line = memchr(rest.ptr, '\n', rest.len);
    }
    return SPAN_LIT("");
}

/* From now on all that comes is content, without end. */
static void switch_protocols(struct faulty_conn *c, struct span head)
{
    char accept[WEBSOCKET_ACCEPT_LEN + 1], answer[256];
    int len;

    if (!span_eq_nocase(find_field(head, "Upgrade"), SPAN_LIT("websocket")) ||
        !websocket_accept(find_field(head, "Sec-WebSocket-Key"), accept))
        return;
    len = snprintf(answer, sizeof(answer),
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
    faulty_conn_put(c, answer, (size_t)len);
    c->content = (struct faulty_content){.state = FAULTY_CONTENT_LENGTH, .left = UINT64_MAX};
    c->kept = evbuffer_new();
    c->close = true;
}

static void answer_other(struct faulty_conn *c)
{
    faulty_reply_text(c, 426, "text/plain", SPAN_LIT("this path speaks WebSocket\n"));
}

/* ---- frames (RFC 6455 5.2) ------------------------------------------------------------------------------ */

struct frame {
    unsigned char first; /* FIN, reserved bits, opcode */
    bool is_masked;
    unsigned char mask[4];
    size_t at, len; /* of its payload */
};

/* False: more is needed. */
static bool read_frame(struct evbuffer *in, struct frame *frame)
{
    unsigned char bytes[14];
    ev_ssize_t have = evbuffer_copyout(in, bytes, sizeof(bytes));
    unsigned more = have >= 2 ? (bytes[1] & 0x7f) == 126 ? 2 : (bytes[1] & 0x7f) == 127 ? 8 : 0 : 0;

    if (have < 2)
        return false;
    *frame = (struct frame){.first = bytes[0], .is_masked = bytes[1] >> 7, .len = bytes[1] & 0x7f};
    frame->at = 2 + more + (frame->is_masked ? 4 : 0);
    if ((size_t)have < frame->at)
        return false;
    if (more != 0)
        frame->len = 0;
    for (unsigned i = 0; i < more; i++)
        frame->len = frame->len << 8 | bytes[2 + i];
    if (frame->is_masked)
        memcpy(frame->mask, bytes + 2 + more, 4);
    return true;
}

static void put_frame(struct faulty_conn *c, unsigned char first, const void *payload, size_t len)
{
    unsigned char head[10] = {first};
    size_t size = len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10;

    head[1] = (unsigned char)(size == 2 ? len : size == 4 ? 126 : 127);
    for (size_t i = size; i > 2; i--)
        head[i - 1] = (unsigned char)(len >> 8 * (size - i));
    faulty_conn_put(c, head, size);
    faulty_conn_put(c, payload, len);
}

static void say_goodbye(struct faulty_conn *c, enum close_code code)
{
    const unsigned char payload[] = {(unsigned char)(code >> 8), (unsigned char)code};

    put_frame(c, 0x80 | CLOSE, payload, sizeof(payload));
    faulty_conn_end(c);
}

static void answer_frame(struct faulty_conn *c, const struct frame *frame, unsigned char *payload)
{
    for (size_t i = 0; i < frame->len; i++)
        payload[i] ^= frame->mask[i % 4];
    switch (frame->first & 0x0f) {
    case PONG: return;
    case PING: put_frame(c, 0x80 | PONG, payload, frame->len); return;
    default: put_frame(c, frame->first, payload, frame->len);
    }
    if ((frame->first & 0x0f) == CLOSE)
        faulty_conn_end(c);
}

/* Who does not read is not read from. */
static void hold_back(struct faulty_conn *c)
{
    if (evbuffer_get_length(c->out) <= QUEUE_MAX)
        return;
    c->allowance = 0;
    faulty_conn_tick_every(c, LOOK_US);
}

static void look_again(struct faulty_conn *c)
{
    if (evbuffer_get_length(c->out) > QUEUE_LOW)
        return;
    faulty_conn_tick_stop(c);
    c->allowance = UINT64_MAX;
}

static void echo(struct faulty_conn *c, struct span wire, struct span data)
{
    struct frame frame;

    (void)data;
    if (c->kept == NULL || c->ended || evbuffer_add(c->kept, wire.ptr, wire.len) != 0)
        return;
    while (!c->ended && read_frame(c->kept, &frame)) {
        unsigned char *whole;

        if (!frame.is_masked || frame.len > FRAME_MAX) {
            say_goodbye(c, frame.is_masked ? CLOSE_TOO_BIG : CLOSE_PROTOCOL);
            return;
        }
        if (evbuffer_get_length(c->kept) < frame.at + frame.len)
            break;
        whole = evbuffer_pullup(c->kept, (ev_ssize_t)(frame.at + frame.len));
        if (whole == NULL)
            return;
        answer_frame(c, &frame, whole + frame.at);
        (void)evbuffer_drain(c->kept, frame.at + frame.len); /* fails only for a frozen buffer */
    }
    hold_back(c);
}

const struct faulty_behaviour faulty_sockets[] = {
    {.path = "/ws/echo",
     .help = "a WebSocket (RFC 6455) that sends back each frame; 426 to whom asks for none",
     .head = switch_protocols,
     .content = echo,
     .answer = answer_other,
     .tick = look_again},
    {.path = "/ws/stall",
     .help = "101, and then not a byte",
     .head = switch_protocols,
     .answer = answer_other},
    {.path = NULL},
};
