#include "admin/listener.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/listen.h"

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

static void close_socket(struct admin_listener *listener)
{
    if (!listener->is_handed)
        listen_close(&listener->address, listener->fd);
}

enum status admin_listener_open(struct admin_listener *listener, struct loop *loop,
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
    status = clients_init(&listener->clients, loop, listener->fd, came, arg);
    listener->is_open = status == ST_OK;
    if (listener->is_open)
        return ST_OK;
    close_socket(listener);
no_listener:
    free_address(listener);
    return status;
}

void admin_listener_close(struct admin_listener *listener)
{
    if (!listener->is_open)
        return;
    listener->is_open = false;
    clients_fini(&listener->clients);
    close_socket(listener);
    free_address(listener);
}

void admin_listener_put_address(const struct admin_listener *listener, struct text *out)
{
    listen_put_address(out, &listener->address, listener->fd);
}
