#include "faulty/reply.h"

#include <inttypes.h>
#include <stdio.h>

#include "http/http1.h"

void faulty_reply_head(struct faulty_conn *c, int status, const char *fields)
{
    char head[1024];
    const char *connection = "";
    int len;

    if (status >= 200 && c->close)
        connection = c->reply_minor == 1 ? "Connection: close\r\n" : "";
    else if (status >= 200 && c->minor == 0)
        connection = "Connection: keep-alive\r\n";
    len = snprintf(head, sizeof(head), "HTTP/1.%d %d %s\r\n%s%s\r\n", c->reply_minor, status,
                   http1_reason((uint16_t)status), fields, connection);
    faulty_conn_put(c, head, (size_t)len);
}

bool faulty_reply_promise(struct faulty_conn *c, int status, enum faulty_framing framing, uint64_t bytes)
{
    char fields[128] = "Content-Type: text/plain\r\n";

    if (framing == FAULTY_BY_CHUNKS && c->minor == 0)
        framing = FAULTY_BY_CLOSE;
    if (framing == FAULTY_BY_CLOSE)
        c->close = true;
    if (framing == FAULTY_BY_LENGTH)
        (void)snprintf(fields, sizeof(fields), "Content-Type: text/plain\r\nContent-Length: %" PRIu64 "\r\n",
                       bytes);
    if (framing == FAULTY_BY_CHUNKS)
        (void)snprintf(fields, sizeof(fields), "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n");
    faulty_reply_head(c, status, fields);
    return framing == FAULTY_BY_CHUNKS;
}

void faulty_reply_text(struct faulty_conn *c, int status, const char *type, struct span text)
{
    char fields[128];

    (void)snprintf(fields, sizeof(fields), "Content-Type: %s\r\nContent-Length: %zu\r\n", type, text.len);
    faulty_reply_head(c, status, fields);
    if (!c->head)
        faulty_conn_put(c, text.ptr, text.len);
    faulty_conn_end(c);
}

void faulty_reply_ok(struct faulty_conn *c)
{
    faulty_reply_text(c, 200, "text/plain", SPAN_LIT("ok\n"));
}

/* What the parameters add to a status. */
static void put_wishes(const struct faulty_conn *c, char *fields, size_t cap)
{
    const char *after = c->args.after;

    (void)snprintf(fields, cap, "%s%s%s%s", after[0] != '\0' ? "Retry-After: " : "", after,
                   after[0] != '\0' ? "\r\n" : "", c->args.told ? "X-Should-Retry: false\r\n" : "");
}

void faulty_reply_status(struct faulty_conn *c, int status)
{
    char text[32], wishes[128], fields[256];
    int len = status == 205 ? 0 : snprintf(text, sizeof(text), "status %d\n", status);

    put_wishes(c, wishes, sizeof(wishes));
    if (status < 200) {
        faulty_reply_head(c, status, "");
        faulty_reply_ok(c);
        return;
    }
    if (status == 204 || status == 304) {
        faulty_reply_head(c, status, wishes);
    } else {
        (void)snprintf(fields, sizeof(fields), "%sContent-Type: text/plain\r\nContent-Length: %d\r\n", wishes,
                       len);
        faulty_reply_head(c, status, fields);
        if (!c->head)
            faulty_conn_put(c, text, (size_t)len);
    }
    faulty_conn_end(c);
}

void faulty_reply_half(struct faulty_conn *c, uint64_t promised)
{
    bool chunked =
        faulty_reply_promise(c, 200, c->args.chunked ? FAULTY_BY_CHUNKS : FAULTY_BY_LENGTH, promised);

    /* Only now: a peer that fails in the middle has not announced it. */
    c->close = true;
    c->source = (struct faulty_source){.left = c->head ? 0 : promised / 2, .chunked = chunked, .cut = true};
    faulty_conn_end(c);
}

void faulty_reply_garbage(struct faulty_conn *c)
{
    static const char garbage[] =
        "\x16\x03garbage, not HTTP\r\n\x00\xff\xfe\r\n\r\n*** ENTER PASSWORD ***\r\n";

    c->close = true;
    faulty_conn_put(c, garbage, sizeof(garbage) - 1);
    faulty_conn_end(c);
}

void faulty_reply_pattern(struct faulty_conn *c, enum faulty_framing framing, uint64_t bytes)
{
    bool chunked = faulty_reply_promise(c, 200, framing, bytes);

    if (!c->head)
        c->source = (struct faulty_source){.left = bytes, .chunked = chunked};
    faulty_conn_end(c);
}
