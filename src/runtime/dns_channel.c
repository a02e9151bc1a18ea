#include "runtime/dns_channel.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "runtime/worker.h"

/*
 * c-ares' own 5 s and 4 tries would use up the whole budget of most calls for one lost packet. A late answer
 * to an earlier try is still taken.
 */
#define TRY_MS        1000
#define TRIES         3

/* More addresses than anybody would try. */
#define MAX_ADDRESSES 32u

/* ---- the answer ---------------------------------------------------------------------------------------- */

static bool take_address(const struct ares_addrinfo_node *node, union dns_address *address)
{
    if (node->ai_family == AF_INET)
        memcpy(&address->v4, node->ai_addr, sizeof(address->v4));
    else if (node->ai_family == AF_INET6)
        memcpy(&address->v6, node->ai_addr, sizeof(address->v6));
    else
        return false;
    return true;
}

static struct dns_answer *answer_of(const struct ares_addrinfo *info)
{
    struct dns_answer *answer;
    uint32_t count = 0;

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next)
        count++;
    if (count > MAX_ADDRESSES)
        count = MAX_ADDRESSES;
    answer = mem_zalloc(sizeof(*answer) + count * sizeof(answer->addresses[0]));
    if (answer == NULL)
        return NULL;
    answer->references = 1;
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL && answer->count < count;
         node = node->ai_next)
        if (take_address(node, &answer->addresses[answer->count]))
            answer->count++;
    if (answer->count == 0)
        dns_answer_release(&answer);
    return answer;
}

/* The smallest one on the way from the name to its addresses, in seconds; 0 from the hosts file. */
static int ttl_of(const struct ares_addrinfo *info)
{
    int ttl = info->nodes != NULL ? info->nodes->ai_ttl : 0;

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next)
        if (node->ai_ttl < ttl)
            ttl = node->ai_ttl;
    for (const struct ares_addrinfo_cname *cname = info->cnames; cname != NULL; cname = cname->next)
        if (cname->ttl < ttl)
            ttl = cname->ttl;
    return ttl;
}

/* From c-ares. Only takes note: the channel can't be freed as long as c-ares is at work in it. */
static void lookup_ended(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct dns_channel *channel = arg;

    (void)timeouts;
    channel->busy = false;
    channel->why = ares_strerror(status);
    if (status == ARES_SUCCESS && info != NULL) {
        channel->answer = answer_of(info);
        channel->ttl_ns = ttl_of(info) * NS_PER_S;
        channel->why = ares_strerror(info->nodes == NULL ? ARES_ENODATA : ARES_ENOMEM);
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
}

/* ---- sockets and time ---------------------------------------------------------------------------------- */

static void await_timeout(struct dns_channel *channel)
{
    struct timeval in;
    int64_t in_ns;

    if (ares_timeout(channel->ares, NULL, &in) == NULL)
        return;
    in_ns = (int64_t)in.tv_sec * NS_PER_S + (int64_t)in.tv_usec * NS_PER_US;
    /* c-ares looks at another clock, which may not be as far: never at once. */
    if (in_ns < NS_PER_MS)
        in_ns = NS_PER_MS;
    timer_set(&channel->worker->timers, &channel->timer, worker_now(channel->worker) + in_ns);
}

static void process(struct dns_channel *channel, ares_socket_t readable, ares_socket_t writable)
{
    bool was_busy = channel->busy;

    ares_process_fd(channel->ares, readable, writable);
    if (channel->busy) {
        await_timeout(channel);
    } else if (was_busy) {
        timer_set(&channel->worker->timers, &channel->timer, NS_NEVER);
        channel->ended(channel);
    }
}

static void timed_out(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    process(CONTAINER_OF(timer, struct dns_channel, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void socket_ready(evutil_socket_t fd, short what, void *arg)
{
    process(arg, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
}

/* The place of `fd`, or a free one; -1: there is none. */
static int place_of(const struct dns_channel *channel, ares_socket_t fd)
{
    int place = -1;

    for (int i = 0; i < DNS_CHANNEL_SOCKETS; i++) {
        if (channel->in_use[i] && event_get_fd(&channel->sockets[i]) == fd)
            return i;
        if (!channel->in_use[i] && place < 0)
            place = i;
    }
    return place;
}

/* From c-ares: wait for this on that socket; for nothing, before it is closed. */
static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *channel = arg;
    int place = place_of(channel, fd);
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    struct event *event;

    if (place < 0)
        return;
    event = &channel->sockets[place];
    if (channel->in_use[place])
        event_del(event);
    channel->in_use[place] =
        (readable || writable) &&
        event_assign(event, channel->worker->base, fd, what, socket_ready, channel) == 0 &&
        event_add(event, NULL) == 0;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static bool open_ares(struct dns_channel *channel, const char *servers)
{
    struct ares_options options = {
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = channel,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;

    if (ares_init_options(&channel->ares, &options, mask) != ARES_SUCCESS)
        return false;
    if (servers == NULL || ares_set_servers_ports_csv(channel->ares, servers) == ARES_SUCCESS)
        return true;
    ares_destroy(channel->ares);
    return false;
}

struct dns_channel *dns_channel_new(struct worker *worker, const char *servers)
{
    struct dns_channel *channel = mem_zalloc(sizeof(*channel));

    if (channel == NULL)
        return NULL;
    list_init(&channel->node);
    channel->worker = worker;
    channel->made_ns = worker_now(worker);
    if (timer_init(&worker->timers, &channel->timer, timed_out) != ST_OK)
        goto no_timer;
    if (!open_ares(channel, servers))
        goto no_ares;
    return channel;
no_ares:
    timer_fini(&worker->timers, &channel->timer);
no_timer:
    mem_free(channel);
    return NULL;
}

void dns_channel_free(struct dns_channel *channel)
{
    ares_destroy(channel->ares);
    timer_fini(&channel->worker->timers, &channel->timer);
    dns_answer_release(&channel->answer);
    mem_free(channel);
}

enum status dns_channel_start(struct dns_channel *channel, const char *host)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    channel->busy = true;
    ares_getaddrinfo(channel->ares, host, NULL, &hints, lookup_ended, channel);
    if (!channel->busy)
        return ST_OK;
    await_timeout(channel);
    return ST_AGAIN;
}

bool dns_channel_cancel(struct dns_channel *channel)
{
    ares_cancel(channel->ares);
    timer_set(&channel->worker->timers, &channel->timer, NS_NEVER);
    /* What was half there may come as an answer. */
    dns_answer_release(&channel->answer);
    return !channel->busy;
}
