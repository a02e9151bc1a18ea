/* Targets of requests to a forward proxy, in one spelling. */
#include "http/proxy_target.h"

#include "base/invariant.h"
#include "base/number.h"
#include "base/text.h"
#include "http/octet.h"

#define LABEL_MAX    63u
#define PORT_HTTP    80u
#define IP_TEXT_ROOM 48u

static bool is_label(struct span label)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* As inet_aton(3) reads one: decimal, octal, or hex behind 0x, of which "0x" alone is 0. */
static bool is_number(struct span label)
{
    if (label.len >= 2 && label.ptr[0] == '0' && (label.ptr[1] | 0x20) == 'x')
        return octet_all((struct span){label.ptr + 2, label.len - 2}, OCTET_HEX);
    return octet_all(label, OCTET_DIGIT);
}

/* The last label, behind the last dot; without a dot, all. */
static struct span last_label(struct span name)
{
    size_t at = name.len;

    while (at > 0 && name.ptr[at - 1] != '.')
        at--;
    return (struct span){name.ptr + at, name.len - at};
}

static bool is_name(struct span name)
{
    while (name.len != 0) {
        const char *dot = memchr(name.ptr, '.', name.len);
        struct span label = {name.ptr, dot != NULL ? (size_t)(dot - name.ptr) : name.len};

        if (!is_label(label))
            return false;
        if (dot == NULL)
            return true;
        name = (struct span){dot + 1, name.len - label.len - 1};
    }
    return false;
}

static void copy_host(struct span host, struct proxy_target *out)
{
    PRE(host.len <= PROXY_HOST_MAX);
    for (size_t i = 0; i < host.len; i++)
        out->host[i] = (char)(host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? host.ptr[i] | 0x20 : host.ptr[i]);
    out->host[host.len] = '\0';
    out->host_len = (uint8_t)host.len;
}

/* An address is taken if it is written as we would write it. */
static enum proxy_target_fault read_ip(struct span host, enum endpoint_family family,
                                       struct proxy_target *out)
{
    char block[IP_TEXT_ROOM];
    struct text text = text_over(block, sizeof(block));

    if (host.len <= PROXY_HOST_MAX)
        copy_host(host, out);
    if (!endpoint_parse_ip(host, &out->ip) || out->ip.family != family)
        return PROXY_TARGET_ADDRESS;
    endpoint_put_ip(&text, &out->ip);
    if (!span_eq(text_span(&text), host))
        return PROXY_TARGET_ADDRESS;
    out->is_ip = true;
    return PROXY_TARGET_OK;
}

static enum proxy_target_fault read_host(struct span host, struct proxy_target *out)
{
    struct span name = host;

    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        return read_ip((struct span){host.ptr + 1, host.len - 2}, ENDPOINT_IPV6, out);
    if (name.len > 1 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > PROXY_HOST_MAX || !is_name(name))
        return PROXY_TARGET_HOST;
    if (is_number(last_label(name)))
        return read_ip(host, ENDPOINT_IPV4, out);
    copy_host(name, out);
    return PROXY_TARGET_OK;
}

/* Digits that may be a port: a default is told by 0, and 0 is none. */
static bool read_port(struct span digits, uint16_t *port)
{
    uint64_t number;

    if (digits.len > 5 || number_u64(digits, &number) != NUMBER_OK || number == 0 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* `otherwise` is the port where none is written; 0: one has to be. */
static enum proxy_target_fault read_authority(struct span authority, uint16_t otherwise,
                                              struct proxy_target *out)
{
    size_t colon = authority.len;
    struct span host = authority;
    enum proxy_target_fault fault;

    *out = (struct proxy_target){.port = otherwise};
    while (colon > 0 && authority.ptr[colon - 1] != ':' && authority.ptr[colon - 1] != ']')
        colon--;
    if (colon > 0 && authority.ptr[colon - 1] == ':')
        host.len = colon - 1;
    fault = read_host(host, out);
    if (fault != PROXY_TARGET_OK)
        return fault;
    if (host.len < authority.len &&
        !read_port((struct span){authority.ptr + colon, authority.len - colon}, &out->port))
        return PROXY_TARGET_PORT;
    out->ip.port = out->port;
    return out->port != 0 ? PROXY_TARGET_OK : PROXY_TARGET_PORT;
}

enum proxy_target_fault proxy_target_read_authority(struct span authority, struct proxy_target *out)
{
    return read_authority(authority, 0, out);
}

/* Of an absolute form; the parser has let no other than http and https pass. */
static bool is_http(struct span target)
{
    static const struct span http = {"http://", 7};

    return target.len > http.len && span_eq_nocase((struct span){target.ptr, http.len}, http);
}

enum proxy_target_fault proxy_target_read(const struct http1_head *head, struct proxy_target *out)
{
    *out = (struct proxy_target){0};
    if (head->method_id == HTTP1_CONNECT)
        return read_authority(head->target, 0, out);
    if (head->authority.len == 0)
        return PROXY_TARGET_FORM;
    if (!is_http(head->target)) {
        (void)read_authority(head->authority, 443, out); /* for the log */
        return PROXY_TARGET_SCHEME;
    }
    return read_authority(head->authority, PORT_HTTP, out);
}

const char *proxy_target_fault_text(enum proxy_target_fault fault)
{
    switch (fault) {
    case PROXY_TARGET_OK: return NULL;
    case PROXY_TARGET_FORM:
        return "this is a forward proxy: the target is http://host/path, or CONNECT has host:port";
    case PROXY_TARGET_SCHEME: return "https goes through a forward proxy by CONNECT";
    case PROXY_TARGET_HOST: return "the target's host is not a name";
    case PROXY_TARGET_ADDRESS:
        return "an IP address is written as a plain dotted quad, or in brackets as RFC 5952 has it";
    case PROXY_TARGET_PORT: return "the target's port is not a number from 1 to 65535";
    }
    IMPOSSIBLE("a fault that no target can have");
    return NULL;
}

void proxy_target_put_host(struct text *out, const struct proxy_target *target)
{
    struct span host = {target->host, target->host_len};
    bool is_v6 = target->is_ip && target->ip.family == ENDPOINT_IPV6;

    if (is_v6)
        TEXT_LIT(out, "[");
    text_put(out, host);
    if (is_v6)
        TEXT_LIT(out, "]");
}
