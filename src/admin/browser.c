#include "admin/browser.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"
#include "config/address.h"

#define NAME_MAX_BYTES 256

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcasecmp(text + len - end_len, end) == 0;
}

/*
 * Nobody can have it point here but who runs this network: an address, localhost (RFC 6761 6.3), or a name without a
 * dot, which no zone of the public DNS can have.
 */
static bool is_local(const char *host)
{
    const char *colon = strrchr(host, ':');
    size_t len = colon != NULL ? (size_t)(colon - host) : strlen(host);
    char name[NAME_MAX_BYTES];
    struct in_addr ip;

    if (host[0] == '[')
        return true;
    if (len >= sizeof(name))
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    return inet_pton(AF_INET, name, &ip) == 1 || ends_with(name, ".localhost") || strchr(name, '.') == NULL;
}

/* Sec-Fetch-Site (Fetch Metadata): a page of another origin asks, and it is not that somebody follows a link. */
static bool is_of_another_page(struct admin_request *request)
{
    const char *site = request->fields[REQUEST_FETCH_SITE], *mode = request->fields[REQUEST_FETCH_MODE];

    if (site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0)
        return false;
    return mode == NULL || strcmp(mode, "navigate") != 0;
}

/* The origin of a page that came from here by this Host (RFC 6454 7). */
static bool is_ours(const char *origin, const char *host)
{
    static const char scheme[] = "http://";

    return host != NULL && strncmp(origin, scheme, sizeof(scheme) - 1) == 0 &&
           strcasecmp(origin + sizeof(scheme) - 1, host) == 0;
}

const char *browser_refusal(struct admin_request *request, const struct endpoint *listens,
                            enum browser_use use, int *status)
{
    const char *host = request->fields[REQUEST_HOST], *origin = request->fields[REQUEST_ORIGIN];

    *status = 421;
    if (host != NULL && listens->family != ENDPOINT_UNIX && endpoint_is_local(listens) && !is_local(host))
        return "This listener is not known by that name: use its address, or localhost.";
    *status = 403;
    if (origin != NULL && use == BROWSER_MUST_NOT)
        return "This is not for browsers.";
    if (is_of_another_page(request) || (origin != NULL && !is_ours(origin, host)))
        return "A page of another origin asks for this.";
    if (origin != NULL && use == BROWSER_ACTS && !is_local(host))
        return "Open the page by its address to do this: anybody could have this name point here.";
    return NULL;
}
