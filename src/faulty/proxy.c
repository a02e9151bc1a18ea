/*
 * With --proxy, this API is behind a proxy, which is the same process: each connection begins by asking for a tunnel
 * (CONNECT), and gets this answer. Behind a 2xx it is a connection as any other, with TLS if there is any. A request of
 * another method is served as it is behind a 2xx, and answered likewise else.
 */
#include "faulty/proxy.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "faulty/request.h"
#include "faulty/server.h"
#include "http/http1.h"

static bool lets(unsigned status)
{
    return status >= 200 && status < 300;
}

/* How long the head is that has come; 0: it is not whole. */
static size_t head_length(struct evbuffer *in)
{
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);

    return end.pos < 0 ? 0 : (size_t)end.pos + 4;
}

enum faulty_proxy_result faulty_proxy_take(struct evbuffer *in, struct evbuffer *out,
                                           const struct faulty_server *server)
{
    unsigned status = server->proxy;
    size_t len = head_length(in);
    char method[8] = "";
    bool is_connect;

    if (len == 0)
        return evbuffer_get_length(in) >= FAULTY_HEAD_MAX ? FAULTY_PROXY_REFUSES : FAULTY_PROXY_MORE;
    (void)evbuffer_copyout(in, method, sizeof(method));
    is_connect = memcmp(method, "CONNECT ", sizeof(method)) == 0;
    if (!is_connect && lets(status))
        return FAULTY_PROXY_LETS;
    (void)evbuffer_drain(in, len); /* fails only for a frozen buffer */
    (void)evbuffer_add_printf(out, "HTTP/1.1 %u %s\r\n%s%s\r\n", status, http1_reason((uint16_t)status),
                              status == 407 ? "Proxy-Authenticate: Basic realm=\"faulty\"\r\n" : "",
                              lets(status) ? "" : "Content-Length: 0\r\n");
    if (!lets(status))
        return FAULTY_PROXY_REFUSES;
    (void)evbuffer_add(out, server->proxy_behind, strlen(server->proxy_behind));
    return FAULTY_PROXY_LETS;
}
