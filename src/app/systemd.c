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

/* ---- one that is left: what it was meant for, and why that has no use for it --------------------------- */

static bool is_at_taken_address(const struct systemd_sockets *sockets, const struct handed_socket *left)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->list[i].is_taken && endpoint_is_same(&sockets->list[i].address, &left->address))
            return true;
    return false;
}

/* The option that an upstream's socket is named for, as listeners.c reads names. False: its name is not this one's. */
static bool put_upstream_option(struct text *out, const struct upstream_config *upstream, const char *socket,
                                bool *is_there)
{
    size_t len = strlen(upstream->name);
    bool has_tls = upstream->listen_tls_count != 0;
    bool has_plain = upstream->listen_tls_count != upstream->listen_count;
    bool is_for_tls;

    if (strncmp(socket, upstream->name, len) != 0 ||
        (socket[len] != '\0' && strcmp(socket + len, ".tls") != 0))
        return false;
    is_for_tls = socket[len] != '\0' || !has_plain;
    *is_there = is_for_tls ? has_tls : has_plain;
    text_printf(out, "%s.%s.%s", upstream_section(upstream), upstream->name,
                is_for_tls ? "listen_tls" : "listen");
    return true;
}

/* What it is named for, and what is wrong with that. */
static void explain_name(struct text *out, const struct snapshot *snapshot, const char *name)
{
    char block[256];
    struct text option = text_over(block, sizeof(block));
    bool is_admin = strcmp(name, "admin") == 0;
    bool is_there = is_admin ? snapshot->has_admin : snapshot->has_metrics;
    bool is_list = false;

    for (uint32_t i = 0; i < snapshot->upstream_count && !is_list; i++)
        is_list = put_upstream_option(&option, &snapshot->upstreams[i], name, &is_there);
    if (!is_list && !is_admin && strcmp(name, "metrics") != 0) {
        text_put(out, SPAN_LIT("no upstream has this name or listens there"));
        return;
    }
    if (!is_list)
        text_put(&option, is_admin ? SPAN_LIT("admin.listen") : SPAN_LIT("admin.metrics_listen"));
    if (!is_there)
        text_printf(out, "there is no %.*s: write its address there, or take it out of its unit",
                    SPAN_FMT(text_span(&option)));
    else if (is_list)
        text_printf(out,
                    "each address in %.*s has a socket already: add this one's, or take it out of its unit",
                    SPAN_FMT(text_span(&option)));
    else
        text_printf(out, "%.*s has a socket already: take one of the two out of its unit",
                    SPAN_FMT(text_span(&option)));
}

bool systemd_all_taken(const struct systemd_sockets *sockets, const struct snapshot *snapshot, char *why,
                       size_t why_cap)
{
    struct text text = text_over(why, why_cap - 1);

    for (size_t i = 0; i < sockets->count; i++) {
        const struct handed_socket *socket = &sockets->list[i];

        if (socket->is_taken)
            continue;
        text_printf(&text, "socket \"%s\" at ", socket->name);
        listen_put_address(&text, &socket->address, socket->fd);
        text_printf(&text, " was handed over, but ");
        if (is_at_taken_address(sockets, socket))
            text_printf(&text,
                        "another socket at this address is in use: take one of the two out of its unit");
        else
            explain_name(&text, snapshot, socket->name);
        why[text.len] = '\0';
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
