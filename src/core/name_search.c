#include "core/name_search.h"

#include <string.h>

#include "base/invariant.h"

void name_search_init(struct name_search *search, const char *host)
{
    size_t len = strlen(host);

    *search = (struct name_search){.host = host, .is_whole = len != 0 && host[len - 1] == '.'};
    for (; *host != '\0'; host++)
        search->dots += *host == '.';
    search->verdict = NAME_NO_SUCH;
}

/* "host", "host.domain"; without the dot at the end that says it is whole. False: it is too long. */
static bool put_name(const struct name_search *search, const char *domain, char name[NAME_BYTES])
{
    size_t host_len = strlen(search->host) - search->is_whole, len = strlen(domain);

    if (len != 0 && domain[len - 1] == '.')
        len--;
    if (host_len + 1 + len >= NAME_BYTES)
        return false;
    memcpy(name, search->host, host_len);
    if (len != 0) {
        name[host_len++] = '.';
        memcpy(name + host_len, domain, len);
    }
    name[host_len + len] = '\0';
    return true;
}

static bool ask_as_is(struct name_search *search, char name[NAME_BYTES])
{
    search->was_asked_as_is = true;
    return put_name(search, "", name);
}

static bool next_domain(struct name_search *search, const struct resolv_conf *conf, char name[NAME_BYTES])
{
    while (!search->is_list_over && search->next < conf->search_len) {
        const char *domain = conf->search + search->next;

        search->next += (uint32_t)strlen(domain) + 1;
        POST(search->next <= conf->search_len); /* each domain has its terminator within the list */
        search->was_searched = true;
        if (domain[0] == '.')
            domain++;
        if (domain[0] == '\0')
            search->was_asked_as_is = true;
        if (put_name(search, domain, name))
            return true;
    }
    return false;
}

static bool go_on(struct name_search *search, const struct resolv_conf *conf, char name[NAME_BYTES])
{
    bool may_be_top = search->dots != 0 || !search->was_searched || !conf->no_tld_query;

    if (search->is_whole)
        return false;
    if (next_domain(search, conf, name))
        return true;
    return !search->was_asked_as_is && may_be_top && ask_as_is(search, name);
}

bool name_search_first(struct name_search *search, const struct resolv_conf *conf, char name[NAME_BYTES])
{
    if (search->is_whole || search->dots >= conf->ndots) {
        search->is_first = true;
        if (ask_as_is(search, name))
            return true;
        search->is_first = false;
    }
    return go_on(search, conf, name);
}

/* What the name itself came to says most; then that a domain has the name, or can't say. */
static void note(struct name_search *search, enum name_outcome outcome)
{
    if (search->is_first) {
        search->has_verdict = true;
        search->verdict = outcome;
    }
    search->got_no_address |= outcome == NAME_NO_ADDRESS;
    search->got_servfail |= outcome == NAME_SERVFAIL;
    if (search->has_verdict)
        return;
    search->verdict = search->got_no_address ? NAME_NO_ADDRESS
                      : search->got_servfail ? NAME_SERVFAIL
                                             : outcome;
}

bool name_search_next(struct name_search *search, const struct resolv_conf *conf, enum name_outcome outcome,
                      char name[NAME_BYTES])
{
    note(search, outcome);
    if (outcome == NAME_SILENT && !search->is_first)
        search->is_list_over = true;
    search->is_first = false;
    return go_on(search, conf, name);
}
