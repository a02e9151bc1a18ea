#include "proxy/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "config/address.h"
#include "runtime/listen.h"

static struct listener *listener_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct listener, node);
}

/* The socket of an upstream with port 0 is known by its upstream alone. */
static bool is_same_place(const struct listener *listener, const struct upstream_config *upstream,
                          const struct endpoint *address)
{
    if (listener->address == NULL || listener->next != NULL)
        return false;
    if (endpoint_is_same(listener->address, address) ||
        (address->family != ENDPOINT_UNIX && endpoint_is_same(&listener->real, address)))
        return true;
    return endpoint_is_equal(listener->address, address) &&
           strcmp(listener->upstream->name, upstream->name) == 0;
}

static struct listener *find(struct list_node *listeners, const struct upstream_config *upstream,
                             const struct endpoint *address)
{
    LIST_FOREACH(node, listeners) {
        if (is_same_place(listener_of(node), upstream, address))
            return listener_of(node);
    }
    return NULL;
}

static struct listener *add(struct list_node *listeners, int fd, struct handed_socket *handed)
{
    struct listener *listener = mem_zalloc(sizeof(*listener));
    char path[LISTEN_PATH_MAX];

    PRE(fd >= 0 && (handed == NULL || !handed->is_taken));
    if (listener == NULL)
        return NULL;
    listener->fd = fd;
    listener->handed = handed;
    (void)listen_find_address(fd, &listener->real, path); /* if not, it is known by what was asked for */
    listener->real.path = NULL;
    if (handed != NULL)
        handed->is_taken = true;
    list_push_back(listeners, &listener->node);
    return listener;
}

static void close_one(struct listener *listener)
{
    const struct endpoint *address = listener->address != NULL ? listener->address : listener->next_address;

    PRE(listener->handed != NULL || address != NULL);
    list_remove(&listener->node);
    if (listener->handed != NULL)
        listener->handed->is_taken = false;
    else
        listen_close(address, listener->fd);
    mem_free(listener);
}

static const char *key_of(const struct upstream_config *upstream, const struct endpoint *address)
{
    return upstream_listens_by_tls(upstream, address) ? "listen_tls" : "listen";
}

/* What is wrong, by errno, with a listener that could not be opened or could not get its permissions. */
static void explain_failure(const struct upstream_config *upstream, const struct endpoint *address, char *why,
                            size_t why_cap)
{
    snprintf(why, why_cap, "%s.%s.%s: %s: %s%s", upstream_section(upstream), upstream->name,
             key_of(upstream, address), address->text, strerror(errno), listen_advice(address, errno));
}

static struct listener *open_anew(struct list_node *listeners, const struct upstream_config *upstream,
                                  const struct endpoint *address, char *why, size_t why_cap)
{
    int fd = listen_open(address);
    struct listener *listener = fd < 0 ? NULL : add(listeners, fd, NULL);

    if (listener != NULL)
        return listener;
    if (fd >= 0) {
        listen_close(address, fd);
        errno = ENOMEM;
    }
    explain_failure(upstream, address, why, why_cap);
    return NULL;
}

/*
 * A socket with the upstream's name is for `listen`, and one that is called NAME.tls for `listen_tls`; of an upstream
 * that has only one of them, NAME is for that.
 */
static bool is_named_for(const struct handed_socket *socket, const struct upstream_config *upstream,
                         const struct endpoint *address)
{
    size_t len = strlen(upstream->name);

    if (strncmp(socket->name, upstream->name, len) != 0)
        return false;
    if (!upstream_listens_by_tls(upstream, address))
        return socket->name[len] == '\0';
    return strcmp(socket->name + len, ".tls") == 0 ||
           (socket->name[len] == '\0' && upstream->listen_tls_count == upstream->listen_count);
}

/*
 * How well a handed socket fits a listener, 0: not at all. What is called there expects the API whose `listen` that is,
 * whatever the socket's name; the name decides for a socket at an address that no `listen` has.
 */
static int fit(const struct handed_socket *socket, const struct upstream_config *upstream,
               const struct endpoint *address)
{
    if (socket->is_taken)
        return 0;
    return 2 * endpoint_is_same(&socket->address, address) + is_named_for(socket, upstream, address);
}

static bool is_planned(struct list_node *listeners, const struct endpoint *address)
{
    LIST_FOREACH(node, listeners) {
        if (listener_of(node)->next_address == address)
            return true;
    }
    return false;
}

static void plan(struct listener *listener, const struct upstream_config *upstream,
                 const struct endpoint *address)
{
    PRE((upstream == NULL) == (address == NULL));
    PRE(upstream == NULL || listener->next == NULL); /* it is one upstream's */
    listener->next = upstream;
    listener->next_address = address;
}

struct search {
    struct list_node *listeners;
    const struct snapshot *snapshot;
    struct handed_socket *handed;
    size_t handed_count;
    char *why;
    size_t why_cap;
    int wanted; /* the fit */
};

static bool use_old(struct search *search, const struct upstream_config *upstream,
                    const struct endpoint *address)
{
    struct listener *listener = find(search->listeners, upstream, address);

    if (listener == NULL)
        return true;
    plan(listener, upstream, address);
    if (listener->handed != NULL || listen_permit(address))
        return true;
    explain_failure(upstream, address, search->why, search->why_cap);
    return false;
}

static bool use_handed(struct search *search, const struct upstream_config *upstream,
                       const struct endpoint *address)
{
    for (size_t i = 0; i < search->handed_count && !is_planned(search->listeners, address); i++) {
        struct handed_socket *socket = &search->handed[i];
        struct listener *listener;

        if (fit(socket, upstream, address) != search->wanted)
            continue;
        listener = add(search->listeners, socket->fd, socket);
        if (listener == NULL) {
            snprintf(search->why, search->why_cap, "not enough memory");
            return false;
        }
        plan(listener, upstream, address);
    }
    return true;
}

static bool use_new(struct search *search, const struct upstream_config *upstream,
                    const struct endpoint *address)
{
    struct listener *listener;

    if (is_planned(search->listeners, address))
        return true;
    listener = open_anew(search->listeners, upstream, address, search->why, search->why_cap);
    if (listener != NULL)
        plan(listener, upstream, address);
    return listener != NULL;
}

/* For each address of the snapshot. */
static bool each(struct search *search,
                 bool (*use)(struct search *search, const struct upstream_config *upstream,
                             const struct endpoint *address))
{
    for (uint32_t i = 0; i < search->snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &search->snapshot->upstreams[i];

        for (uint32_t j = 0; j < upstream->listen_count; j++)
            if (!use(search, upstream, &upstream->listen[j]))
                return false;
    }
    return true;
}

bool listeners_prepare(struct list_node *listeners, const struct snapshot *snapshot,
                       struct handed_socket *handed, size_t handed_count, char *why, size_t why_cap)
{
    struct search search = {listeners, snapshot, handed, handed_count, why, why_cap, 0};
    bool is_done = each(&search, use_old);

    /* The best fit of all first, so that nobody takes what is another one's. */
    for (search.wanted = 3; is_done && search.wanted > 0; search.wanted--)
        is_done = each(&search, use_handed);
    if (is_done && each(&search, use_new))
        return true;
    listeners_abort(listeners);
    return false;
}

void listeners_abort(struct list_node *listeners)
{
    listeners_sweep(listeners);
    LIST_FOREACH(node, listeners)
        plan(listener_of(node), NULL, NULL);
}

void listeners_commit(struct list_node *listeners)
{
    LIST_FOREACH(node, listeners) {
        struct listener *listener = listener_of(node);

        listener->upstream = listener->next;
        /* One that is to be closed needs its old one for that. */
        if (listener->next != NULL) {
            listener->address = listener->next_address;
            listener->is_tls = upstream_listens_by_tls(listener->next, listener->address);
        }
        plan(listener, NULL, NULL);
    }
}

void listeners_sweep(struct list_node *listeners)
{
    struct list_node *next = listeners->next;

    while (next != listeners) {
        struct listener *listener = listener_of(next);

        next = next->next;
        if (listener->upstream == NULL)
            close_one(listener);
    }
}

void listeners_close(struct list_node *listeners)
{
    while (!list_is_empty(listeners))
        close_one(listener_of(listeners->next));
}

static void put_difference(FILE *out, const struct listener *listener)
{
    char block[LISTEN_PATH_MAX + 64];
    struct text where = text_over(block, sizeof(block));

    if (listener->handed == NULL) {
        fprintf(
            out,
            "warning: %s.%s.%s: %s: no socket unit holds it, so that a restart refuses connections there\n",
            upstream_section(listener->upstream), listener->upstream->name,
            key_of(listener->upstream, listener->address), listener->address->text);
        return;
    }
    if (endpoint_is_same(&listener->handed->address, listener->address) ||
        (listener->address->family != ENDPOINT_UNIX && listener->address->port == 0))
        return;
    listen_put_address(&where, &listener->handed->address, listener->fd);
    fprintf(out, "warning: %s.%s.%s: %s is not open: socket \"%s\" at %.*s is in its place\n",
            upstream_section(listener->upstream), listener->upstream->name,
            key_of(listener->upstream, listener->address), listener->address->text, listener->handed->name,
            SPAN_FMT(text_span(&where)));
}

void listeners_put_differences(FILE *out, struct list_node *listeners)
{
    bool any = false;

    LIST_FOREACH(node, listeners)
        any |= listener_of(node)->handed != NULL;
    LIST_FOREACH(node, listeners) {
        if (any && listener_of(node)->upstream != NULL)
            put_difference(out, listener_of(node));
    }
}
