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

void faulty_reply_pattern(struct faulty_conn *c, enum faulty_framing framing, uint64_t bytes)
{
    bool chunked = faulty_reply_promise(c, 200, framing, bytes);

    if (!c->head)
        c->source = (struct faulty_source){.left = bytes, .chunked = chunked};
    faulty_conn_end(c);
}
