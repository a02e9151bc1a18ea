#include "config/proxy_env.h"

#include <string.h>

#include "base/number.h"
#include "core/ip_range.h"

/* ---- what is not to go by the proxy -------------------------------------------------------------------- */

static bool is_port(struct span text, uint16_t port)
{
    uint64_t n;

    return number_u64(text, &n) == NUMBER_OK && n == port;
}

/* Is it this port, or none? What stands before it stays in *host. */
static bool takes_port(struct span *host, uint16_t port)
{
    struct endpoint ip;
    size_t colon = host->len;

    if (endpoint_parse_ip(*host, &ip) || memchr(host->ptr, '/', host->len) != NULL)
        return true;
    while (colon > 0 && host->ptr[colon - 1] != ':' && host->ptr[colon - 1] != ']')
        colon--;
    if (colon == 0 || host->ptr[colon - 1] == ']')
        return true;
    if (!is_port((struct span){host->ptr + colon, host->len - colon}, port))
        return false;
    host->len = colon - 1;
    return true;
}

/* An address, or a range of them. Bits behind the range's length say nothing. */
static bool takes_ip(struct span element, struct span host)
{
    struct ip_range range;
    struct ip ip;

    if (element.len >= 2 && element.ptr[0] == '[' && element.ptr[element.len - 1] == ']')
        element = (struct span){element.ptr + 1, element.len - 2};
    switch (ip_range_read(element, &range)) {
    case IP_RANGE_OK:
    case IP_RANGE_HOST_BITS: return ip_read(host, &ip) && ip_range_has(&range, &ip);
    default: return false;
    }
}

/* A name, and what is below it. */
static bool takes_name(struct span element, struct span host)
{
    if (host.len != 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    while (element.len != 0 && element.ptr[0] == '.')
        element = (struct span){element.ptr + 1, element.len - 1};
    if (element.len == 0 || element.len > host.len)
        return false;
    if (element.len < host.len && host.ptr[host.len - element.len - 1] != '.')
        return false;
    return span_eq_nocase((struct span){host.ptr + host.len - element.len, element.len}, element);
}

static bool takes(struct span element, const struct url *url)
{
    if (span_eq(element, SPAN_LIT("*")))
        return true;
    if (!takes_port(&element, url->port))
        return false;
    return url->host_is_ip ? takes_ip(element, url->host) : takes_name(element, url->host);
}

bool proxy_env_excepts(struct span list, const struct url *url)
{
    struct span element;

    while (span_next_element(&list, &element))
        if (takes(element, url))
            return true;
    return false;
}

/* ---- the proxy ------------------------------------------------------------------------------------------ */

static bool begins_with(struct span text, const char *with)
{
    return text.len >= strlen(with) && span_eq_nocase((struct span){text.ptr, strlen(with)}, span_of(with));
}

const char *proxy_env_parse(struct span text, struct url *out, struct span *credentials)
{
    const char *scheme = memmem(text.ptr, text.len, "://", 3), *at, *why;
    char block[512];
    struct text plain = text_over(block, sizeof(block));

    *credentials = SPAN_LIT("");
    if (scheme != NULL && !begins_with(text, "http://"))
        return "the proxy is spoken to by http:// alone; neither https:// nor socks is supported";
    if (scheme != NULL)
        text = (struct span){scheme + 3, text.len - 3 - (size_t)(scheme - text.ptr)};
    at = memrchr(text.ptr, '@', text.len);
    if (at != NULL) {
        *credentials = (struct span){text.ptr, (size_t)(at - text.ptr)};
        text = (struct span){at + 1, text.len - credentials->len - 1};
    }
    /* url_parse's spans are to point into the text that came: what is before them has another length here. */
    TEXT_LIT(&plain, "http://");
    text_put(&plain, text);
    if (plain.overflow)
        return "it is too long";
    why = url_parse(text_span(&plain), out);
    if (why != NULL)
        return why;
    if (out->base_path.len != 0)
        return "a proxy has no path";
    out->host.ptr = text.ptr + (out->host.ptr - (block + strlen("http://")));
    out->base_path = SPAN_LIT("");
    return NULL;
}

static void put_base64(struct text *out, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (i + 1 < len ? (unsigned)bytes[i + 1] << 8 : 0) |
                         (i + 2 < len ? bytes[i + 2] : 0);
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                        digits[group & 63]};

        if (i + 2 >= len)
            four[3] = '=';
        if (i + 1 >= len)
            four[2] = '=';
        text_put(out, (struct span){four, sizeof(four)});
    }
}

bool proxy_env_put_basic(struct text *out, struct span credentials)
{
    unsigned char bytes[256];
    size_t len = 0;

    for (size_t i = 0; i < credentials.len; i++) {
        uint64_t byte = (unsigned char)credentials.ptr[i];

        if (len == sizeof(bytes))
            return false;
        if (byte == '%') {
            if (credentials.len - i < 3 ||
                number_hex((struct span){credentials.ptr + i + 1, 2}, &byte) != NUMBER_OK)
                return false;
            i += 2;
        }
        bytes[len++] = (unsigned char)byte;
    }
    TEXT_LIT(out, "Basic ");
    put_base64(out, bytes, len);
    return !out->overflow;
}
