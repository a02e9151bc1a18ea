#include "runtime/store_link.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/tcp.h"
#include "runtime/tls_transport.h"

/*
 * open: a name and a port by runtime/connect, which calls `connected`; a unix socket by itself, and `turn` goes on.
 * Whatever fails before the loop has turned is told by `turn` as well: link->fault is set then.
 *
 * What is sent is gathered, and written by `turn`, so that pools which ask in one turn share a packet, and nobody is
 * called back out of store_link_send.
 */
#define READ_SIZE      4096u
#define READS_A_TURN   16u
#define STAGGER_NS     (100 * NS_PER_MS)
#define UNANSWERED_NS  (5 * NS_PER_S) /* by the peer's kernel */
#define DNS_STALE_NS   (3600 * NS_PER_S)
#define DNS_NO_NAME_NS (300 * NS_PER_S)

static void turn(struct mail *mail);
static void ready(struct transport *transport);
static void is_over(struct timer *timer, int64_t now_ns);

enum status store_link_init(struct store_link *link, struct store_ground *ground,
                            const struct store_link_events *events)
{
    *link = (struct store_link){.ground = ground, .events = events};
    transport_init(&link->transport);
    list_init(&link->requests);
    mail_init(&link->turn, turn);
    return timer_init(&ground->loop->timers, &link->limit, is_over);
}

/* ---- the end ------------------------------------------------------------------------------------------- */

/* A password may have been in it. */
static void drop_output(struct store_link *link)
{
    if (link->out != NULL)
        explicit_bzero(link->out, link->out_cap);
    mem_free(link->out);
    link->out = NULL;
    link->out_len = link->out_done = link->out_cap = 0;
}

static void shut(struct store_link *link)
{
    connect_cancel(&link->connect);
    transport_close(&link->transport);
    if (link->is_reading && link->reader.reader != NULL) {
        link->read_out = link->reader;
        link->reader = (struct store_reader){0};
    }
    store_reader_close(&link->reader);
    if (link->tls != NULL)
        store_tls_release(link->tls);
    link->tls = NULL;
    drop_output(link);
    loop_undefer(&link->turn);
    if (link->limit.fn != NULL)
        timer_set(&link->ground->loop->timers, &link->limit, NS_NEVER);
    link->state = STORE_LINK_CLOSED;
    link->serial++;
}

void store_link_drop(struct store_link *link)
{
    shut(link);
    while (list_take_front(&link->requests) != NULL)
        continue;
}

void store_link_fini(struct store_link *link)
{
    if (link->ground == NULL)
        return;
    store_link_drop(link);
    store_reader_close(&link->read_out);
    if (link->limit.fn != NULL)
        timer_fini(&link->ground->loop->timers, &link->limit);
}

static void tell_all(struct store_link *link)
{
    struct list_node left, *node;

    list_init(&left);
    list_append_all(&left, &link->requests);
    while ((node = list_take_front(&left)) != NULL) {
        struct store_request *request = CONTAINER_OF(node, struct store_request, node);

        request->fn(request, NULL);
    }
}

static void end(struct store_link *link)
{
    PRE(link->fault != STORE_FINE);
    shut(link);
    tell_all(link);
    link->events->closed(link);
}

void store_link_close(struct store_link *link, enum store_fault fault, const char *format, ...)
{
    va_list args;

    if (link->state == STORE_LINK_CLOSED)
        return;
    link->fault = fault;
    va_start(args, format);
    vsnprintf(link->why, sizeof(link->why), format, args);
    va_end(args);
    end(link);
}

/* The next turn tells that it has closed. */
static void fail(struct store_link *link, enum store_fault fault, const char *why)
{
    link->fault = fault;
    snprintf(link->why, sizeof(link->why), "%s", why);
    loop_defer(link->ground->loop, &link->turn);
}

void store_link_break(struct store_link *link, enum store_fault fault, const char *why)
{
    PRE(link->state == STORE_LINK_OPEN);
    shut(link);
    link->state = STORE_LINK_ENDING;
    fail(link, fault, why);
}

static void is_over(struct timer *timer, int64_t now_ns)
{
    struct store_link *link = CONTAINER_OF(timer, struct store_link, limit);
    bool is_in_tls = link->state == STORE_LINK_CONNECTING && link->transport.ssl != NULL;

    (void)now_ns;
    store_link_close(link, link->limit_fault, "%s%s", link->limit_why,
                     is_in_tls ? ": it does not answer as TLS does" : "");
}

void store_link_limit(struct store_link *link, int64_t at_ns, enum store_fault fault, const char *why)
{
    link->limit_fault = fault;
    link->limit_why = why;
    timer_set(&link->ground->loop->timers, &link->limit, at_ns);
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

static void take_answer(struct store_link *link, const struct store_reply *reply)
{
    struct list_node *node = list_take_front(&link->requests);

    if (node != NULL) {
        struct store_request *request = CONTAINER_OF(node, struct store_request, node);

        request->fn(request, reply);
    } else if (link->events->stray == NULL) {
        store_link_close(link, STORE_GARBLED, "an answer that nobody has asked for");
    } else if (!link->events->stray(link, reply)) {
        store_link_close(link, STORE_GARBLED, "an answer that is out of place");
    }
}

/* False: it has closed, and may be on its way to a new connection. */
static bool tell(struct store_link *link, const struct store_reply *reply)
{
    uint32_t serial = link->serial;

    link->is_reading = true;
    take_answer(link, reply);
    link->is_reading = false;
    store_reader_close(&link->read_out);
    return serial == link->serial;
}

static bool take_bytes(struct store_link *link, const char *bytes, size_t len)
{
    const struct store_reply *reply;
    const char *why = "";
    enum status status = store_reader_feed(&link->reader, bytes, len);

    while (status == ST_OK) {
        status = store_reader_next(&link->reader, &reply, &why);
        if (status == ST_OK && !tell(link, reply))
            return false;
    }
    if (status == ST_AGAIN)
        return true;
    if (status == ST_BAD)
        store_link_close(link, STORE_GARBLED, "%s", why);
    else
        store_link_close(link, STORE_SHORTAGE, "not enough memory");
    return false;
}

static void broke(struct store_link *link, enum status status)
{
    char why[TLS_WHY_MAX];

    if (link->transport.ssl != NULL && tls_transport_why(&link->transport, why, sizeof(why)))
        store_link_close(link, STORE_LOCKED, "%s", why);
    else if (status == ST_EOF)
        store_link_close(link, STORE_AWAY, "it has closed the connection");
    else
        store_link_close(link, STORE_AWAY, "the connection was reset");
}

/* False: it has closed. */
static bool read_all(struct store_link *link)
{
    char bytes[READ_SIZE];
    size_t len = 0;

    for (unsigned i = 0; i < READS_A_TURN; i++) {
        enum status status = transport_read(&link->transport, bytes, sizeof(bytes), &len);

        if (status == ST_AGAIN)
            return true;
        if (status != ST_OK) {
            broke(link, status);
            return false;
        }
        if (!take_bytes(link, bytes, len))
            return false;
    }
    loop_undefer(&link->turn);
    loop_defer(link->ground->loop, &link->turn);
    return true;
}

/* ---- what goes ----------------------------------------------------------------------------------------- */

static void write_all(struct store_link *link)
{
    enum status status = ST_OK;
    size_t len = 0;

    while (status == ST_OK && link->out_done < link->out_len) {
        struct iovec piece = {link->out + link->out_done, link->out_len - link->out_done};

        status = transport_write(&link->transport, &piece, 1, &len);
        if (status == ST_OK)
            link->out_done += len;
    }
    if (link->out_done == link->out_len)
        drop_output(link);
    /* What it said before it closed says more than that it did. */
    if (status == ST_FAILED && read_all(link))
        broke(link, ST_FAILED);
}

static void ready(struct transport *transport)
{
    struct store_link *link = CONTAINER_OF(transport, struct store_link, transport);

    if (read_all(link))
        write_all(link);
}

/* Room for len bytes more behind out_len; what is left of the block of before is wiped. */
static bool make_room(struct store_link *link, size_t len)
{
    size_t cap = link->out_len + len;
    char *out;

    if (cap <= link->out_cap)
        return true;
    out = mem_alloc(cap);
    if (out == NULL)
        return false;
    if (link->out != NULL) {
        memcpy(out, link->out, link->out_len);
        explicit_bzero(link->out, link->out_cap);
        mem_free(link->out);
    }
    link->out = out;
    link->out_cap = cap;
    return true;
}

static enum status put(struct store_link *link, const struct span *words, uint32_t count)
{
    const char *texts[STORE_LINK_WORDS_MAX];
    size_t lens[STORE_LINK_WORDS_MAX];
    enum status status = ST_NOMEM;
    char *command = NULL;
    int len;

    PRE(count > 0 && count <= STORE_LINK_WORDS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        texts[i] = words[i].ptr;
        lens[i] = words[i].len;
    }
    len = redisFormatCommandArgv(&command, (int)count, texts, lens);
    if (len < 0)
        return ST_NOMEM;
    if (make_room(link, (size_t)len)) {
        memcpy(link->out + link->out_len, command, (size_t)len);
        link->out_len += (size_t)len;
        status = ST_OK;
    }
    explicit_bzero(command, (size_t)len);
    redisFreeCommand(command);
    return status;
}

enum status store_link_send(struct store_link *link, const struct span *words, uint32_t count,
                            struct store_request *request)
{
    PRE(link->state == STORE_LINK_OPEN && (request == NULL || list_is_alone(&request->node)));
    if (put(link, words, count) != ST_OK)
        return ST_NOMEM;
    if (request != NULL)
        list_push_back(&link->requests, &request->node);
    loop_undefer(&link->turn);
    loop_defer(link->ground->loop, &link->turn);
    return ST_OK;
}

/* ---- the beginning ------------------------------------------------------------------------------------- */

static void has_opened(struct store_link *link)
{
    if (store_reader_open(&link->reader) != ST_OK) {
        store_link_close(link, STORE_SHORTAGE, "not enough memory");
        return;
    }
    link->state = STORE_LINK_OPEN;
    if (link->path[0] == '\0')
        tcp_tune_upstream(link->transport.fd, UNANSWERED_NS); /* it is kept, and may say nothing for long */
    link->transport.on_ready = ready;
    link->events->opened(link);
}

static void note_phase(struct connect *connect, enum phase phase)
{
    (void)connect;
    (void)phase;
}

static void note_result(struct connect *connect, enum dns_result result)
{
    (void)connect;
    (void)result;
}

static enum store_fault fault_of(enum cause cause)
{
    switch (cause) {
    case CAUSE_TLS_CERTIFICATE:
    case CAUSE_TLS_PROTOCOL: return STORE_LOCKED;
    case CAUSE_INTERNAL: return STORE_SHORTAGE;
    default: return STORE_AWAY;
    }
}

static void has_connected(struct connect *connect, enum cause cause, const char *detail)
{
    struct store_link *link = CONTAINER_OF(connect, struct store_link, connect);

    if (cause == CAUSE_NONE)
        has_opened(link);
    else
        store_link_close(link, fault_of(cause), "%s", detail);
}

static const struct connect_events connect_events = {note_phase, note_result, has_connected};

static void open_host(struct store_link *link)
{
    struct store_ground *ground = link->ground;
    struct origin *origin = &link->origin;
    struct endpoint ip = {0};
    bool is_ip = endpoint_parse_ip(span_of(link->host), &ip);

    *origin = (struct origin){.number = 0,
                              .host = link->host,
                              .port = link->port,
                              .host_is_ip = is_ip,
                              .ip = ip,
                              .dns = {80, DNS_STALE_NS, DNS_NO_NAME_NS, NS_PER_S},
                              .stagger_ns = STAGGER_NS,
                              .longest_ns = UNANSWERED_NS};
    if (ground->spec->has_tls) {
        link->tls = store_tls_acquire(ground, link->host);
        if (link->tls == NULL) {
            fail(link, STORE_SHORTAGE, "TLS: not enough memory, or a file is not to be read any more");
            return;
        }
    }
    link->connect = (struct connect){.loop = ground->loop,
                                     .resolver = ground->resolver,
                                     .book = &ground->book,
                                     .origin = origin,
                                     .tls = link->tls != NULL ? link->tls->client : NULL,
                                     .transport = &link->transport,
                                     .events = &connect_events};
    if (connect_start(&link->connect, NS_NEVER) != ST_OK)
        fail(link, STORE_SHORTAGE, "not enough memory");
}

/* Before `turn`. */
static void not_yet(struct transport *transport)
{
    (void)transport;
}

/* It never blocks: the kernel connects at once, or refuses. */
static void open_path(struct store_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", link->path);
    if (fd < 0) {
        fail(link, STORE_SHORTAGE, strerror(errno));
        return;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        error = errno;
    if (error != 0)
        close(fd);
    if (error != 0)
        fail(link, STORE_AWAY, strerror(error));
    else if (transport_open(&link->transport, link->ground->loop, fd, not_yet) != ST_OK)
        fail(link, STORE_SHORTAGE, "not enough memory");
    else
        loop_defer(link->ground->loop, &link->turn);
}

static void turn(struct mail *mail)
{
    struct store_link *link = CONTAINER_OF(mail, struct store_link, turn);

    if (link->fault != STORE_FINE)
        end(link);
    else if (link->state == STORE_LINK_CONNECTING)
        has_opened(link);
    else
        ready(&link->transport);
}

void store_link_open(struct store_link *link, const struct store_place *place)
{
    bool is_host = place->host != NULL;

    PRE(link->state == STORE_LINK_CLOSED && list_is_empty(&link->requests));
    link->state = STORE_LINK_CONNECTING;
    link->fault = STORE_FINE;
    link->why[0] = '\0';
    snprintf(link->host, sizeof(link->host), "%s", is_host ? place->host : "");
    snprintf(link->path, sizeof(link->path), "%s", is_host ? "" : place->path);
    link->port = is_host ? place->port : 0;
    if (is_host)
        open_host(link);
    else
        open_path(link);
}

void store_link_put_place(struct text *out, const struct store_link *link)
{
    if (link->host[0] == '\0')
        text_printf(out, "unix:%s", link->path);
    else
        text_printf(out, strchr(link->host, ':') != NULL ? "[%s]:%u" : "%s:%u", link->host, link->port);
}

bool store_link_is_at(const struct store_link *link, const struct store_place *place)
{
    if (place->host == NULL)
        return link->host[0] == '\0' && strcmp(link->path, place->path) == 0;
    return link->port == place->port && strcmp(link->host, place->host) == 0;
}
