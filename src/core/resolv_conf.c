#include "core/resolv_conf.h"

#include <string.h>

#include "base/invariant.h"
#include "base/number.h"
#include "core/ip.h"
#include "core/lines.h"

#define NDOTS_MAX 15

static void add_server(struct resolv_conf *conf, struct span line)
{
    struct span address;
    struct ip ip;

    if (conf->server_count == RESOLV_SERVERS_MAX || !lines_next_word(&line, &address) ||
        address.len >= RESOLV_SERVER_BYTES || !ip_read(address, &ip))
        return;
    memcpy(conf->servers[conf->server_count++], address.ptr, address.len);
}

void resolv_conf_set_search(struct resolv_conf *conf, struct span domains)
{
    struct span domain;

    conf->has_search = true;
    conf->search_len = 0;
    while (lines_next_word(&domains, &domain)) {
        if (domain.len + 1 > RESOLV_SEARCH_BYTES - conf->search_len)
            return;
        memcpy(conf->search + conf->search_len, domain.ptr, domain.len);
        conf->search_len += (uint32_t)domain.len;
        conf->search[conf->search_len++] = '\0';
        POST(conf->search_len <= RESOLV_SEARCH_BYTES);
    }
}

void resolv_conf_set_host(struct resolv_conf *conf, struct span hostname)
{
    const char *dot = memchr(hostname.ptr, '.', hostname.len);

    if (conf->has_search || dot == NULL)
        return;
    resolv_conf_set_search(conf, (struct span){dot + 1, hostname.len - (size_t)(dot + 1 - hostname.ptr)});
}

static bool take_prefix(struct span *s, const char *prefix)
{
    size_t len = strlen(prefix);

    if (s->len < len || memcmp(s->ptr, prefix, len) != 0)
        return false;
    s->ptr += len;
    s->len -= len;
    return true;
}

static void set_option(struct resolv_conf *conf, struct span option)
{
    static const struct {
        const char *name;
        size_t at;
    } switches[] = {
        {"rotate", offsetof(struct resolv_conf, rotate)},
        {"use-vc", offsetof(struct resolv_conf, use_vc)},
        {"no-aaaa", offsetof(struct resolv_conf, no_aaaa)},
        {"edns0", offsetof(struct resolv_conf, edns0)},
        {"no-tld-query", offsetof(struct resolv_conf, no_tld_query)},
    };
    uint64_t ndots;

    if (take_prefix(&option, "ndots:")) {
        if (number_u64(option, &ndots) == NUMBER_OK)
            conf->ndots = ndots < NDOTS_MAX ? (uint32_t)ndots : NDOTS_MAX;
        return;
    }
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
        if (span_eq(option, span_of(switches[i].name)))
            *(bool *)((char *)conf + switches[i].at) = true;
}

void resolv_conf_set_options(struct resolv_conf *conf, struct span options)
{
    struct span option;

    while (lines_next_word(&options, &option))
        set_option(conf, option);
}

/* As in the C library, a line begins with its keyword, and the last one of `search` and `domain` holds. */
static void read_line(struct resolv_conf *conf, struct span line)
{
    struct span keyword, domain;

    if (line.len == 0 || line.ptr[0] == ' ' || line.ptr[0] == '\t' || !lines_next_word(&line, &keyword))
        return;
    if (span_eq(keyword, SPAN_LIT("nameserver"))) {
        add_server(conf, line);
    } else if (span_eq(keyword, SPAN_LIT("search"))) {
        resolv_conf_set_search(conf, line);
    } else if (span_eq(keyword, SPAN_LIT("domain"))) {
        if (lines_next_word(&line, &domain))
            resolv_conf_set_search(conf, domain);
    } else if (span_eq(keyword, SPAN_LIT("options"))) {
        resolv_conf_set_options(conf, line);
    }
}

void resolv_conf_read(struct resolv_conf *conf, struct span text)
{
    struct span line;

    *conf = (struct resolv_conf){.ndots = 1};
    while (lines_next(&text, "#;", &line))
        read_line(conf, line);
}
