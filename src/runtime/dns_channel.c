#include "runtime/dns_channel.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "base/text.h"
#include "runtime/loop.h"

#define TRY_MS        300
/* Each round doubles the time: 9.3 s in all with one server, 9 s with two. */
#define TRIES_OF_ONE  5
#define TRIES_OF_TWO  4
#define TRIES_OF_MORE 3

#define CSV_BYTES     (RESOLV_SERVERS_MAX * (RESOLV_SERVER_BYTES + 1))

static const int record_types[FAMILIES] = {[FAMILY_V4] = ns_t_a, [FAMILY_V6] = ns_t_aaaa};

/* ---- replies ------------------------------------------------------------------------------------------- */

static void note_ttl(struct dns_reply *reply, int ttl_s)
{
    int64_t ttl_ns = (ttl_s > 0 ? ttl_s : 0) * NS_PER_S;

    if (reply->count == 0 || ttl_ns < reply->ttl_ns)
        reply->ttl_ns = ttl_ns;
}

static int take_v4(struct dns_reply *reply, const unsigned char *bytes, int len)
{
    struct ares_addrttl found[DNS_REPLY_ADDRESSES];
    int count = DNS_REPLY_ADDRESSES;
    int status = ares_parse_a_reply(bytes, len, NULL, found, &count);

    for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
        note_ttl(reply, found[i].ttl);
        reply->addresses[reply->count++] = ip_from_v4(&found[i].ipaddr);
    }
    return status;
}

static int take_v6(struct dns_reply *reply, const unsigned char *bytes, int len)
{
    struct ares_addr6ttl found[DNS_REPLY_ADDRESSES];
    int count = DNS_REPLY_ADDRESSES;
    int status = ares_parse_aaaa_reply(bytes, len, NULL, found, &count);

    for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
        note_ttl(reply, found[i].ttl);
        memcpy(reply->addresses[reply->count++].bytes, &found[i].ip6addr, sizeof(struct ip));
    }
    return status;
}

static enum dns_reply_kind kind_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA: return REPLY_NO_ADDRESS;
    case ARES_EBADNAME:
    case ARES_ENOTFOUND: return REPLY_NO_SUCH;
    case ARES_ENOMEM: return REPLY_SHORTAGE;
    case ARES_ETIMEOUT: return REPLY_SILENT;
    default: return REPLY_FAILED;
    }
}

/* c-ares calls it "Could not contact DNS servers" if all have failed, those that said so among them. */
static const char *reason_of(int status)
{
    return status == ARES_ECONNREFUSED ? "no DNS server can answer" : ares_strerror(status);
}

static void take_reply(struct dns_channel *channel, struct dns_reply *reply, int status,
                       const unsigned char *bytes, int len)
{
    reply->count = 0;
    if (status == ARES_SUCCESS)
        status =
            reply == &channel->replies[FAMILY_V4] ? take_v4(reply, bytes, len) : take_v6(reply, bytes, len);
    reply->kind = reply->count != 0 ? REPLY_ADDRESSES : kind_of(status);
    reply->why = reason_of(status == ARES_SUCCESS ? ARES_ENODATA : status);
    if (reply->kind == REPLY_FAILED && channel->shortage != 0) {
        reply->kind = REPLY_SHORTAGE;
        reply->why = strerrordesc_np(channel->shortage);
    }
    channel->has_changed = true;
}

/*
 * From c-ares. Only takes note: the channel can't be freed as long as c-ares is at work in it. Of several questions for
 * the same, the first that is answered counts, or the last that fails.
 */
static void ended(struct dns_channel *channel, enum dns_family family, int status, const unsigned char *bytes,
                  int len)
{
    struct dns_reply *reply = &channel->replies[family];
    bool has_answer = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;

    PRE(reply->asked > 0); /* c-ares tells the end of each question once */
    reply->asked--;
    if (status != ARES_ECANCELLED && status != ARES_EDESTRUCTION && reply->kind == REPLY_PENDING &&
        (has_answer || reply->asked == 0))
        take_reply(channel, reply, status, bytes, len);
}

static void v4_ended(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    (void)timeouts;
    ended(arg, FAMILY_V4, status, bytes, len);
}

static void v6_ended(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    (void)timeouts;
    ended(arg, FAMILY_V6, status, bytes, len);
}

/* ---- sockets and time ---------------------------------------------------------------------------------- */

static void await_timeout(struct dns_channel *channel)
{
    struct timeval in;
    int64_t in_ns;

    if (ares_timeout(channel->ares, NULL, &in) == NULL) {
        timer_set(&channel->loop->timers, &channel->timer, NS_NEVER);
        return;
    }
    in_ns = (int64_t)in.tv_sec * NS_PER_S + (int64_t)in.tv_usec * NS_PER_US;
    /* c-ares looks at another clock, which may not be as far: never at once. */
    if (in_ns < NS_PER_MS)
        in_ns = NS_PER_MS;
    timer_set(&channel->loop->timers, &channel->timer, loop_now(channel->loop) + in_ns);
}

static void process(struct dns_channel *channel, ares_socket_t readable, ares_socket_t writable)
{
    PRE(loop_is_own(channel->loop));
    channel->has_changed = false;
    ares_process_fd(channel->ares, readable, writable);
    await_timeout(channel);
    if (channel->has_changed)
        channel->changed(channel);
}

static void timed_out(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    process(CONTAINER_OF(timer, struct dns_channel, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct dns_channel *channel = arg;

    loop_count_event(channel->loop);
    process(channel, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
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
    channel->in_use[place] = (readable || writable) &&
                             event_assign(event, channel->loop->base, fd, what, socket_ready, channel) == 0 &&
                             event_add(event, NULL) == 0;
}

/* ---- sockets as c-ares wants them, so that what we lack ourselves is not taken for the server's fault ---- */

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
    struct dns_channel *channel = arg;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
        channel->shortage = errno;
    return fd;
}

static int close_socket(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t len, void *arg)
{
    (void)arg;
    return connect(fd, address, len);
}

static ares_ssize_t receive(ares_socket_t fd, void *bytes, size_t cap, int flags, struct sockaddr *from,
                            ares_socklen_t *from_len, void *arg)
{
    (void)arg;
    return recvfrom(fd, bytes, cap, flags, from, from_len);
}

static ares_ssize_t transmit(ares_socket_t fd, const struct iovec *parts, int count, void *arg)
{
    ssize_t sent = writev(fd, parts, count);

    (void)arg;
    /* The error is the answer to the question before, which c-ares would wait on: it shall come to who reads. */
    return sent < 0 && errno == ECONNREFUSED ? writev(fd, parts, count) : sent;
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = transmit,
};

/* ---- life ---------------------------------------------------------------------------------------------- */

static int tries_of(uint32_t servers)
{
    if (servers < 2)
        return TRIES_OF_ONE;
    return servers == 2 ? TRIES_OF_TWO : TRIES_OF_MORE;
}

/* Without any: the one of this machine, as in the C library. */
static void write_servers(const struct resolv_conf *conf, char csv[CSV_BYTES])
{
    struct text text = text_over(csv, CSV_BYTES - 1);

    for (uint32_t i = 0; i < conf->server_count; i++) {
        if (i != 0)
            TEXT_LIT(&text, ",");
        text_put(&text, span_of(conf->servers[i]));
    }
    if (conf->server_count == 0)
        TEXT_LIT(&text, "127.0.0.1");
    POST(!text.overflow);
    csv[text.len] = '\0';
}

/* All that c-ares would read from files is given, so it reads none. */
static int open_ares(struct dns_channel *channel, const struct resolv_conf *conf)
{
    struct in_addr server = {htonl(INADDR_LOOPBACK)};
    char *no_domains[1] = {NULL}, lookups[] = "b";
    struct ares_options options = {
        .flags = (conf->use_vc ? ARES_FLAG_USEVC : 0) | (conf->edns0 ? ARES_FLAG_EDNS : 0),
        .timeout = TRY_MS,
        .tries = tries_of(conf->server_count),
        .ndots = 1,
        .servers = &server,
        .nservers = 1,
        .domains = no_domains,
        .lookups = lookups,
        .ednspsz = 1232,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = channel,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SERVERS |
               ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_EDNSPSZ |
               ARES_OPT_SOCK_STATE_CB | (conf->rotate ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE);

    return ares_init_options(&channel->ares, &options, mask);
}

static enum status open_channel(struct dns_channel *channel, const struct resolv_conf *conf,
                                const char *servers)
{
    char csv[CSV_BYTES];
    /* Without a descriptor, c-ares would make do with ids that can be guessed. */
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (spare < 0)
        return ST_FAILED;
    close(spare);
    errno = ENOMEM;
    if (open_ares(channel, conf) != ARES_SUCCESS)
        return ST_FAILED;
    ares_set_socket_functions(channel->ares, &socket_functions, channel);
    write_servers(conf, csv);
    if (ares_set_servers_ports_csv(channel->ares, servers != NULL ? servers : csv) == ARES_SUCCESS)
        return ST_OK;
    ares_destroy(channel->ares);
    return ST_FAILED;
}

struct dns_channel *dns_channel_new(struct loop *loop, const struct resolv_conf *conf, const char *servers)
{
    struct dns_channel *channel = mem_zalloc(sizeof(*channel));

    errno = ENOMEM;
    if (channel == NULL)
        return NULL;
    list_init(&channel->node);
    channel->loop = loop;
    if (timer_init(&loop->timers, &channel->timer, timed_out) != ST_OK)
        goto no_timer;
    if (open_channel(channel, conf, servers) != ST_OK)
        goto no_ares;
    return channel;
no_ares:
    timer_fini(&loop->timers, &channel->timer);
no_timer:
    mem_free(channel);
    return NULL;
}

void dns_channel_free(struct dns_channel *channel)
{
    ares_destroy(channel->ares);
    timer_fini(&channel->loop->timers, &channel->timer);
    mem_free(channel);
}

static void ask_family(struct dns_channel *channel, enum dns_family family, const char *name)
{
    channel->replies[family].asked++;
    ares_query(channel->ares, name, ns_c_in, record_types[family], family == FAMILY_V4 ? v4_ended : v6_ended,
               channel);
}

void dns_channel_ask(struct dns_channel *channel, const char *name, bool with_v6)
{
    for (int i = 0; i < FAMILIES; i++)
        channel->replies[i] = (struct dns_reply){.kind = REPLY_PENDING};
    channel->shortage = 0;
    ask_family(channel, FAMILY_V4, name);
    if (with_v6)
        ask_family(channel, FAMILY_V6, name);
    else
        channel->replies[FAMILY_V6].kind = REPLY_NO_ADDRESS;
    await_timeout(channel);
}

void dns_channel_repeat(struct dns_channel *channel, const char *name)
{
    for (int i = 0; i < FAMILIES; i++)
        if (channel->replies[i].kind == REPLY_PENDING)
            ask_family(channel, (enum dns_family)i, name);
    await_timeout(channel);
}

void dns_channel_cancel(struct dns_channel *channel)
{
    ares_cancel(channel->ares);
    POST(channel->replies[FAMILY_V4].asked == 0 && channel->replies[FAMILY_V6].asked == 0);
    timer_set(&channel->loop->timers, &channel->timer, NS_NEVER);
}

static bool has_failed(const struct dns_reply *reply)
{
    return reply->asked != 0 || reply->kind == REPLY_FAILED || reply->kind == REPLY_SHORTAGE;
}

bool dns_channel_is_good(const struct dns_channel *channel)
{
    return channel->shortage == 0 && !has_failed(&channel->replies[FAMILY_V4]) &&
           !has_failed(&channel->replies[FAMILY_V6]);
}
