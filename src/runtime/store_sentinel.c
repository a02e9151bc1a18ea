#include "runtime/store_sentinel.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "core/store_error.h"
#include "runtime/store_greeting.h"

static void ask(struct store_sentinel *sentinel)
{
    const char *name = sentinel->link.ground->spec->sentinel;
    const struct span words[] = {SPAN_LIT("SENTINEL"), SPAN_LIT("get-master-addr-by-name"), span_of(name)};

    if (store_link_send(&sentinel->link, words, 3, &sentinel->question) != ST_OK)
        store_link_close(&sentinel->link, STORE_SHORTAGE, "not enough memory");
}

static void has_opened(struct store_link *link)
{
    ask(CONTAINER_OF(link, struct store_sentinel, link));
}

/* The link has closed, also after an answer. */
static void has_closed(struct store_link *link)
{
    struct store_sentinel *sentinel = CONTAINER_OF(link, struct store_sentinel, link);
    struct store_place place = {.host = sentinel->host, .port = sentinel->port};
    char block[128], why[400];
    struct text at = text_over(block, sizeof(block));

    if (sentinel->has_answered) {
        sentinel->found(sentinel, &place);
        return;
    }
    store_link_put_place(&at, link);
    snprintf(why, sizeof(why), "Sentinel %.*s: %s", SPAN_FMT(text_span(&at)), link->why);
    sentinel->failed(sentinel, link->fault, why);
}

static void try_password(struct store_sentinel *sentinel)
{
    sentinel->wanted_password = true;
    if (store_greet_anew(&sentinel->link, &sentinel->password) == ST_OK)
        ask(sentinel);
}

static void refused(struct store_sentinel *sentinel, const struct store_reply *error)
{
    bool has_password = sentinel->link.ground->spec->password_file != NULL;
    struct span host;
    uint16_t port;

    if (has_password && !sentinel->wanted_password &&
        store_error_read(error->text, &host, &port) == STORE_ERROR_LOCKED)
        try_password(sentinel);
    else
        store_greeting_refused(&sentinel->link, error);
}

static void has_answered(struct store_request *request, const struct store_reply *reply)
{
    struct store_sentinel *sentinel = CONTAINER_OF(request, struct store_sentinel, question);
    struct store_link *link = &sentinel->link;
    struct span host;
    int64_t port;

    if (reply == NULL)
        return;
    if (reply->kind == STORE_ERROR) {
        refused(sentinel, reply);
        return;
    }
    host = store_reply_text(reply, 0);
    if (reply->kind == STORE_NOTHING) {
        store_link_close(link, STORE_AWAY, "it knows no master of the name %s", link->ground->spec->sentinel);
    } else if (host.len == 0 || host.len >= sizeof(sentinel->host) || memchr(host.ptr, 0, host.len) != NULL ||
               !store_reply_number(reply, 1, &port) || port < 1 || port > UINT16_MAX) {
        store_link_close(link, STORE_GARBLED, "its answer is no address of a master");
    } else {
        memcpy(sentinel->host, host.ptr, host.len);
        sentinel->host[host.len] = '\0';
        sentinel->port = (uint16_t)port;
        sentinel->has_answered = true;
        store_link_close(link, STORE_AWAY, "it has answered");
    }
}

static void password_was_said(struct store_request *request, const struct store_reply *reply)
{
    struct store_sentinel *sentinel = CONTAINER_OF(request, struct store_sentinel, password);

    if (reply != NULL && reply->kind == STORE_ERROR)
        store_greeting_refused(&sentinel->link, reply);
}

enum status store_sentinel_init(struct store_sentinel *sentinel, struct store_ground *ground)
{
    static const struct store_link_events events = {has_opened, has_closed, NULL};

    return store_link_init(&sentinel->link, ground, &events);
}

void store_sentinel_fini(struct store_sentinel *sentinel)
{
    store_link_fini(&sentinel->link);
}

void store_sentinel_ask(struct store_sentinel *sentinel, int64_t limit_ns)
{
    const struct store_spec *spec = sentinel->link.ground->spec;
    const struct store_place *place = &spec->places[sentinel->turn++ % spec->place_count];

    PRE(sentinel->link.state == STORE_LINK_CLOSED);
    sentinel->question = (struct store_request){.fn = has_answered};
    sentinel->password = (struct store_request){.fn = password_was_said};
    sentinel->has_answered = sentinel->wanted_password = false;
    store_link_open(&sentinel->link, place);
    store_link_limit(&sentinel->link, limit_ns, STORE_LATE, "no answer in time");
}
