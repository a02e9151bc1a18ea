#include "app/systemd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/address.h"
#include "runtime/loop.h"

/* ---- what is said: who does not listen has no need of it, so failures are left alone -------------------- */

void systemd_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void systemd_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(loop_clock_ns() / NS_PER_US));
}

void systemd_stopping(int64_t for_ns)
{
    (void)sd_notify(0, "STOPPING=1");
    systemd_extend(for_ns);
}

void systemd_extend(int64_t for_ns)
{
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%lld", (long long)(for_ns / NS_PER_US));
}

void systemd_status(const char *text)
{
    (void)sd_notifyf(0, "STATUS=%s", text);
}

void systemd_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

int64_t systemd_watchdog_ns(void)
{
    uint64_t us = 0;

    return sd_watchdog_enabled(0, &us) > 0 && us < INT64_MAX / NS_PER_US ? (int64_t)us * NS_PER_US : 0;
}

/* ---- what is handed over ------------------------------------------------------------------------------- */

static bool take(struct systemd_sockets *sockets, size_t i, char *why, size_t why_cap)
{
    struct handed_socket *socket = &sockets->list[i];

    socket->fd = SD_LISTEN_FDS_START + (int)i;
    socket->name = sockets->names[i];
    if (!listen_find_address(socket->fd, &socket->address, sockets->paths[i]) || !listen_adopt(socket->fd)) {
        snprintf(why, why_cap, "socket \"%s\" was handed over, but is no stream socket that listens",
                 socket->name);
        return false;
    }
    return true;
}

bool systemd_take_sockets(struct systemd_sockets *sockets, char *why, size_t why_cap)
{
    int count;

    *sockets = (struct systemd_sockets){0};
    count = sd_listen_fds_with_names(1, &sockets->names);
    if (count <= 0) {
        snprintf(why, why_cap, "the sockets that were handed over: %s", strerror(-count));
        return count == 0;
    }
    sockets->count = (size_t)count;
    sockets->list = mem_calloc(sockets->count, sizeof(*sockets->list));
    sockets->paths = mem_calloc(sockets->count, sizeof(*sockets->paths));
    if (sockets->list == NULL || sockets->paths == NULL) {
        snprintf(why, why_cap, "not enough memory");
        return false;
    }
    for (size_t i = 0; i < sockets->count; i++)
        if (!take(sockets, i, why, why_cap))
            return false;
    return true;
}

static bool is_of_upstream(const struct snapshot *snapshot, const char *name)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        if (strcmp(snapshot->upstreams[i].name, name) == 0)
            return true;
    return false;
}

static bool is_where_upstream_listens(const struct snapshot *snapshot, const struct endpoint *address)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        for (uint32_t j = 0; j < snapshot->upstreams[i].listen_count; j++)
            if (endpoint_is_same(&snapshot->upstreams[i].listen[j], address))
                return true;
    return false;
}

/*
 * How well it fits the admin listener, 0: not at all. An upstream may be called admin, or listen there; then the socket
 * is its.
 */
static int fit_admin(const struct handed_socket *socket, const struct snapshot *snapshot,
                     const struct endpoint *address, const char *name)
{
    bool is_there = endpoint_is_same(&socket->address, address);
    bool is_named = strcmp(socket->name, name) == 0 && !is_of_upstream(snapshot, name) &&
                    !is_where_upstream_listens(snapshot, &socket->address);

    return 2 * is_there + is_named;
}

/* NULL: there is none. */
static const struct handed_socket *take_for_admin(struct systemd_sockets *sockets,
                                                  const struct snapshot *snapshot,
                                                  const struct endpoint *address, const char *name)
{
    struct handed_socket *best = NULL;
    int best_fit = 0;

    for (size_t i = 0; i < sockets->count; i++) {
        struct handed_socket *socket = &sockets->list[i];
        int fit = socket->is_taken ? 0 : fit_admin(socket, snapshot, address, name);

        if (fit <= best_fit)
            continue;
        best = socket;
        best_fit = fit;
    }
    if (best != NULL)
        best->is_taken = true;
    return best;
}

void systemd_take_admin(struct systemd_sockets *sockets, const struct snapshot *snapshot)
{
    if (snapshot->has_admin)
        sockets->admin = take_for_admin(sockets, snapshot, &snapshot->admin, "admin");
    if (snapshot->has_metrics)
        sockets->metrics = take_for_admin(sockets, snapshot, &snapshot->metrics, "metrics");
}

bool systemd_all_taken(const struct systemd_sockets *sockets, char *why, size_t why_cap)
{
    char block[LISTEN_PATH_MAX + 64];
    struct text where = text_over(block, sizeof(block));

    for (size_t i = 0; i < sockets->count; i++) {
        const struct handed_socket *socket = &sockets->list[i];

        if (socket->is_taken)
            continue;
        listen_put_address(&where, &socket->address, socket->fd);
        snprintf(why, why_cap,
                 "socket \"%s\" at %.*s was handed over, but no upstream has this name or listens there",
                 socket->name, SPAN_FMT(text_span(&where)));
        return false;
    }
    return true;
}

static void put_socket(FILE *out, const struct handed_socket *socket, const char *what)
{
    char block[LISTEN_PATH_MAX + 64];
    struct text where = text_over(block, sizeof(block));

    listen_put_address(&where, &socket->address, socket->fd);
    fprintf(out, "warning: socket \"%s\" at %.*s%s\n", socket->name, SPAN_FMT(text_span(&where)), what);
}

/* Port 0 is any. */
static bool is_elsewhere(const struct handed_socket *socket, const struct endpoint *address)
{
    return socket != NULL && (address->family == ENDPOINT_UNIX || address->port != 0) &&
           !endpoint_is_same(&socket->address, address);
}

void systemd_put_differences(FILE *out, const struct systemd_sockets *sockets,
                             const struct snapshot *snapshot, struct list_node *listeners)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (!sockets->list[i].is_taken)
            put_socket(
                out, &sockets->list[i],
                ": no upstream listens there any more, but its unit holds it open and callers wait: change "
                "the unit, too, before the next start");
    if (snapshot->has_admin && is_elsewhere(sockets->admin, &snapshot->admin))
        put_socket(out, sockets->admin, " is in the place of admin.listen, which is not open");
    if (snapshot->has_metrics && is_elsewhere(sockets->metrics, &snapshot->metrics))
        put_socket(out, sockets->metrics, " is in the place of admin.metrics_listen, which is not open");
    listeners_put_differences(out, listeners);
}

void systemd_free_sockets(struct systemd_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        close(SD_LISTEN_FDS_START + (int)i);
    for (size_t i = 0; sockets->names != NULL && sockets->names[i] != NULL; i++)
        free(sockets->names[i]);
    free(sockets->names);
    mem_free(sockets->list);
    mem_free(sockets->paths);
}
