/*
 * A tunnel that a caller asks for over HTTP/2 (RFC 8441): CONNECT with :protocol. What stands for it in HTTP/1.1's form
 * is a GET with Upgrade, so that it goes through all that a request goes through; its Sec-WebSocket-Key is ours, since
 * HTTP/2 has none, and so is the look at what the API makes of it. The 101 is a 200 to the caller.
 */
#include <string.h>

#include "base/mem.h"
#include "runtime/websocket.h"
#include "wire/h2_caller.h"

bool h2_tunnel_is_asked_for(const struct h2_stream *stream)
{
    return stream->tunnel != NULL;
}

bool h2_tunnel_ask(struct h2_stream *stream, struct span protocol)
{
    stream->tunnel = mem_zalloc(sizeof(*stream->tunnel) + protocol.len);
    if (stream->tunnel == NULL)
        return false;
    stream->tunnel->protocol_len = (uint8_t)protocol.len;
    memcpy(stream->tunnel->protocol, protocol.ptr, protocol.len);
    return websocket_make_key(stream->tunnel->key);
}

bool h2_tunnel_owns(const struct h2_stream *stream, struct span name)
{
    return stream->tunnel != NULL && span_eq(name, SPAN_LIT("sec-websocket-key"));
}

void h2_tunnel_put_lines(const struct h2_stream *stream, struct text *out)
{
    TEXT_LIT(out, "connection: upgrade\r\nupgrade: ");
    text_put(out, (struct span){stream->tunnel->protocol, stream->tunnel->protocol_len});
    TEXT_LIT(out, "\r\nsec-websocket-key: ");
    text_put(out, (struct span){stream->tunnel->key, WEBSOCKET_KEY_LEN});
    TEXT_LIT(out, "\r\n");
}

/* Only a WebSocket has this field, and it goes no further. */
static bool accepts(const struct h2_tunnel *tunnel, const struct http1_head *head)
{
    char accept[WEBSOCKET_ACCEPT_LEN + 1];
    bool is_websocket =
        span_eq_nocase((struct span){tunnel->protocol, tunnel->protocol_len}, SPAN_LIT("websocket"));
    unsigned right = 0, wrong = 0;

    if (!websocket_accept((struct span){tunnel->key, WEBSOCKET_KEY_LEN}, accept))
        return false;
    for (uint32_t i = 0; i < head->field_count; i++) {
        struct http1_field *field = &head->fields[i];

        if (!span_eq_nocase(field->name, SPAN_LIT("Sec-WebSocket-Accept")))
            continue;
        field->nominated = true;
        if (span_eq(field->value, span_of(accept)))
            right++;
        else
            wrong++;
    }
    return !is_websocket || (right == 1 && wrong == 0);
}

bool h2_tunnel_translate(const struct h2_stream *stream, const struct http1_head *head,
                         struct http1_head *translated)
{
    *translated = *head;
    translated->code = 200;
    translated->reason = SPAN_LIT("");
    translated->described = HTTP1_NO_CONTENT;
    return stream->tunnel != NULL && accepts(stream->tunnel, head);
}
