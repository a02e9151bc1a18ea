#include "admin/listener.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/listen.h"

#define HEAD_MAX_BYTES 8192
#define BODY_MAX_BYTES 65536

/* The configuration's own are gone after a reload. */
static bool copy_address(struct admin_listener *listener, const struct endpoint *address)
{
    const char *path = address->path ? address->path : "";

    listener->address = *address;
    listener->address.text = mem_dup(address->text, strlen(address->text));
    listener->address.path = mem_dup(path, strlen(path));
    if (address->has_group)
        listener->address.group_name = mem_dup(address->group_name, strlen(address->group_name));
    return listener->address.text && listener->address.path &&
           (!address->has_group || listener->address.group_name);
}

static void free_address(struct admin_listener *listener)
{
    mem_free((char *)(uintptr_t)listener->address.text);
    mem_free((char *)(uintptr_t)listener->address.path);
    mem_free((char *)(uintptr_t)listener->address.group_name);
}

static enum status open_http(struct admin_listener *listener, struct event_base *base, admin_request_fn came,
                             void *arg)
{
    struct evhttp *http = evhttp_new(base);

    if (!http)
        return ST_NOMEM;
    evhttp_set_max_headers_size(http, HEAD_MAX_BYTES);
    evhttp_set_max_body_size(http, BODY_MAX_BYTES);
    evhttp_set_timeout(http, CLIENT_SECONDS);
    /* All, so that those that are not for us get a 405 of ours. */
    evhttp_set_allowed_methods(http, UINT16_MAX);
    evhttp_set_gencb(http, came, arg);
    if (clients_init(&listener->clients, base, http, listener->fd) != ST_OK) {
        evhttp_free(http);
        return ST_NOMEM;
    }
    listener->http = http;
    return ST_OK;
}

static void close_socket(struct admin_listener *listener)
{
    if (!listener->is_handed)
        listen_close(&listener->address, listener->fd);
}

enum status admin_listener_open(struct admin_listener *listener, struct event_base *base,
                                const struct endpoint *address, int handed_fd, admin_request_fn came,
                                void *arg, char *why, size_t why_cap)
{
    enum status status = ST_NOMEM;

    snprintf(why, why_cap, "admin: out of memory");
    listener->is_handed = handed_fd >= 0;
    if (!copy_address(listener, address))
        goto no_listener;
    listener->fd = listener->is_handed ? handed_fd : listen_open(&listener->address);
    if (listener->fd < 0) {
        snprintf(why, why_cap, "admin: can't listen on %s: %s%s", address->text, strerror(errno),
                 listen_advice(&listener->address, errno));
        status = ST_FAILED;
        goto no_listener;
    }
    status = open_http(listener, base, came, arg);
    if (status == ST_OK)
        return ST_OK;
    close_socket(listener);
no_listener:
    free_address(listener);
    return status;
}

void admin_listener_close(struct admin_listener *listener)
{
    if (!listener->http)
        return;
    listener->clients.listener = NULL; /* evhttp frees it, then the connections */
    evhttp_free(listener->http);
    clients_fini(&listener->clients);
    close_socket(listener);
    free_address(listener);
}

void admin_listener_put_address(const struct admin_listener *listener, struct text *out)
{
    listen_put_address(out, &listener->address, listener->fd);
}
