/*
 * load: makes many HTTP/1.1 calls to one address and says how each ended. One thread.
 *
 * With --rate and --at-once the loop is open: a call's instant is fixed beforehand, and its latency counts from that
 * instant, whether or not the calls before it have been answered. So a server that stalls cannot hide it by slowing
 * the client down. --concurrency is the closed loop: the next call starts when one has ended.
 *
 * Responses are read strictly: status line, field lines, framing. What ends a call:
 *   completed        a whole response (counted by status)
 *   incomplete       the connection ended within a response
 *   empty            the connection was closed before a response
 *   reset            the connection was reset before a response
 *   refused          the connection was refused
 *   invalid          what came is not HTTP, or more than the framing says, or (--verify) not the pattern
 *   aborted          we left (--abort-after)
 *   no_answer        nothing of the above within --timeout
 *   connect_errors   no connection for another reason
 * Each call is in exactly one of them.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/number.h"
#include "base/span.h"

#define PATHS_MAX      64
#define CALLS_MAX      10000000
#define LINE_BYTES_MAX ((size_t)65536)
#define BLOCK          ((size_t)65536)
#define PERIOD         61 /* of the pattern, as in faulty/reply.h */
#define TICK_NS        (20 * NS_PER_MS)
#define SLOW_BUFFER    4096

enum outcome {
    COMPLETED,
    INCOMPLETE,
    EMPTY,
    RESET,
    REFUSED,
    INVALID,
    ABORTED,
    NO_ANSWER,
    CONNECT_ERROR,
    OUTCOMES
};

static const char *const outcome_names[OUTCOMES] = {"completed", "incomplete", "empty",
                                                    "reset",     "refused",    "invalid",
                                                    "aborted",   "no_answer",  "connect_errors"};

enum pace { PACE_NONE, PACE_RATE, PACE_CONCURRENCY, PACE_AT_ONCE };

enum parse_state {
    STATUS_LINE,
    FIELD_LINE,
    CONTENT, /* `left` bytes */
    CONTENT_TO_CLOSE,
    CHUNK_SIZE,
    CHUNK_DATA,
    CHUNK_END,
    TRAILER_LINE,
    COMPLETE,
    BROKEN
};

struct response {
    enum parse_state state;
    int status;
    bool chunked, has_length, keep_alive;
    uint64_t left;
    uint64_t content_bytes; /* received */
};

struct call;

struct conn {
    struct list_node idle;
    struct event io;
    struct call *call; /* NULL: idle */
    int fd;
    bool connected, reused, readable, writable;
};

struct call {
    size_t index;
    int64_t due_ns;
    int64_t sent_ns; /* of the first byte; 0: not yet */
    struct conn *conn;
    struct event tick, abort, timeout;
    struct evbuffer *out, *in;
    uint64_t body_left;
    /* How many bytes may go or be taken now, and how many the rates have yielded since they began. */
    uint64_t upload_allowance, read_allowance;
    uint64_t upload_granted, read_granted;
    int64_t rates_since_ns;
    bool eof;
    bool began; /* a byte of the response has come */
    struct response response;
};

struct result {
    int64_t latency_ns;   /* from the instant at which it was due */
    int64_t from_sent_ns; /* from its first byte on the wire; -1: none was sent */
    uint16_t status;
    uint8_t outcome;
};

static struct options {
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } target;
    socklen_t target_len;
    const char *target_text;
    const char *paths[PATHS_MAX];
    size_t path_count;
    uint64_t calls;
    enum pace pace;
    uint64_t rate, concurrency;
    bool keepalive, verify;
    const char *method;
    uint64_t body_bytes;
    bool has_body;
    uint64_t upload_rate, read_rate;
    bool apart;
    bool aborts;
    int64_t abort_min_ns, abort_max_ns;
    bool abort_close, abort_rst;
    uint64_t seed;
    int64_t timeout_ns;
    char *fields; /* whole lines, of --header */
    bool has_host;
} opt;

static struct load {
    struct event_base *base;
    struct event pump;
    struct list_node idle;
    struct result *results;
    char *heads[PATHS_MAX];
    const struct timeval *timeout;
    int64_t start_ns;
    size_t next, done, active, active_max;
    uint64_t connections, stale_retries, bytes_sent, bytes_received;
    int64_t late_max_ns;
} load;

static char pattern[PERIOD * 1024 + PERIOD];

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static struct timeval timeval_of(int64_t ns)
{
    if (ns < 0)
        ns = 0;
    return (struct timeval){ns / NS_PER_S, (ns % NS_PER_S + NS_PER_US - 1) / NS_PER_US};
}

/* splitmix64: the n-th random number of the seed, whatever order they are asked for in. */
static uint64_t random_of(uint64_t n)
{
    uint64_t x = opt.seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void *need(void *block)
{
    if (block == NULL) {
        (void)fprintf(stderr, "load: out of memory\n");
        exit(1);
    }
    return block;
}

/* --------------------------------------------------------------------------------------- responses */

static bool parse_status_line(struct response *r, struct span line)
{
    if (line.len < 12 || (memcmp(line.ptr, "HTTP/1.1 ", 9) != 0 && memcmp(line.ptr, "HTTP/1.0 ", 9) != 0) ||
        (line.len > 12 && line.ptr[12] != ' '))
        return false;
    *r = (struct response){.state = FIELD_LINE, .keep_alive = line.ptr[7] == '1'};
    for (int i = 9; i < 12; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return false;
        r->status = r->status * 10 + (line.ptr[i] - '0');
    }
    return r->status >= 100 && r->status <= 599 && r->status != 101;
}

static bool parse_field(struct response *r, struct span line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct span name = {line.ptr, colon != NULL ? (size_t)(colon - line.ptr) : 0};
    struct span value;

    if (name.len == 0 || memchr(name.ptr, ' ', name.len) != NULL || memchr(name.ptr, '\t', name.len) != NULL)
        return false;
    value = span_trim((struct span){colon + 1, line.len - name.len - 1});
    if (span_eq_nocase(name, SPAN_LIT("Content-Length"))) {
        if (r->has_length)
            return false;
        r->has_length = true;
        return number_u64(value, &r->left) == NUMBER_OK;
    }
    if (span_eq_nocase(name, SPAN_LIT("Transfer-Encoding"))) {
        r->chunked = span_eq_nocase(value, SPAN_LIT("chunked"));
        return r->chunked;
    }
    if (span_eq_nocase(name, SPAN_LIT("Connection")) && span_eq_nocase(value, SPAN_LIT("close")))
        r->keep_alive = false;
    return true;
}

/* After the head's empty line: what frames the content (RFC 9112 6.3)? */
static enum parse_state after_head(const struct response *r)
{
    if (r->status < 200)
        return STATUS_LINE;
    if (r->chunked && r->has_length)
        return BROKEN;
    if (r->status == 204 || r->status == 304 || strcmp(opt.method, "HEAD") == 0)
        return COMPLETE;
    if (r->chunked)
        return CHUNK_SIZE;
    if (!r->has_length)
        return CONTENT_TO_CLOSE;
    return r->left == 0 ? COMPLETE : CONTENT;
}

static enum parse_state after_chunk_size(struct response *r, struct span line)
{
    const char *semicolon = memchr(line.ptr, ';', line.len);

    if (semicolon != NULL)
        line.len = (size_t)(semicolon - line.ptr);
    if (number_hex(line, &r->left) != NUMBER_OK)
        return BROKEN;
    return r->left == 0 ? TRAILER_LINE : CHUNK_DATA;
}

static void parse_line(struct response *r, struct span line)
{
    struct response scratch = *r;

    if (memchr(line.ptr, '\n', line.len) != NULL || memchr(line.ptr, '\r', line.len) != NULL) {
        r->state = BROKEN;
        return;
    }
    switch (r->state) {
    case STATUS_LINE:
        if (!parse_status_line(r, line))
            r->state = BROKEN;
        break;
    case FIELD_LINE:
        if (line.len == 0)
            r->state = after_head(r);
        else if (!parse_field(r, line))
            r->state = BROKEN;
        break;
    case CHUNK_SIZE: r->state = after_chunk_size(r, line); break;
    case CHUNK_END: r->state = line.len == 0 ? CHUNK_SIZE : BROKEN; break;
    case TRAILER_LINE:
        if (line.len == 0)
            r->state = COMPLETE;
        else if (!parse_field(&scratch, line))
            r->state = BROKEN;
        break;
    default: break;
    }
}

static bool content_matches(const struct response *r, const char *bytes, size_t len)
{
    size_t at = (size_t)(r->content_bytes % PERIOD);

    for (size_t n; len != 0; bytes += n, len -= n, at = 0) {
        n = len < sizeof(pattern) - at ? len : sizeof(pattern) - at;
        n = n < PERIOD * 1024 - at ? n : PERIOD * 1024 - at;
        if (memcmp(bytes, pattern + at, n) != 0)
            return false;
    }
    return true;
}

static bool take_content(struct response *r, struct evbuffer *in)
{
    struct evbuffer_iovec piece;
    size_t len;

    if (evbuffer_peek(in, -1, NULL, &piece, 1) < 1)
        return false;
    len = r->state != CONTENT_TO_CLOSE && r->left < piece.iov_len ? (size_t)r->left : piece.iov_len;
    if (opt.verify && r->status == 200 && !content_matches(r, piece.iov_base, len)) {
        r->state = BROKEN;
        return true;
    }
    (void)evbuffer_drain(in, len);
    r->content_bytes += len;
    if (r->state == CONTENT_TO_CLOSE)
        return true;
    r->left -= len;
    if (r->left == 0)
        r->state = r->state == CHUNK_DATA ? CHUNK_END : COMPLETE;
    return true;
}

/* Reads as much as there is; the state says how far it came. */
static void parse(struct response *r, struct evbuffer *in)
{
    while (r->state < COMPLETE) {
        size_t len;
        char *line;

        if (r->state == CONTENT || r->state == CONTENT_TO_CLOSE || r->state == CHUNK_DATA) {
            if (!take_content(r, in))
                return;
            continue;
        }
        line = evbuffer_readln(in, &len, EVBUFFER_EOL_CRLF_STRICT);
        if (line == NULL) {
            if (evbuffer_get_length(in) > LINE_BYTES_MAX)
                r->state = BROKEN;
            return;
        }
        parse_line(r, (struct span){line, len});
        free(line);
    }
    if (r->state == COMPLETE && evbuffer_get_length(in) != 0)
        r->state = BROKEN;
}

/* ------------------------------------------------------------------------------------- connections */

static void on_io(evutil_socket_t fd, short what, void *arg);

static void conn_close(struct conn *c, bool reset)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (reset)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)event_del(&c->io);
    list_remove(&c->idle);
    (void)close(c->fd);
    free(c);
}

/* A socket on its way to the target; NULL with errno. */
static struct conn *conn_open(void)
{
    int family = opt.target.any.sa_family;
    int on = 1, small = SLOW_BUFFER;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct conn *c;

    if (fd < 0)
        return NULL;
    if (opt.read_rate != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, &opt.target.any, opt.target_len) != 0 && errno != EINPROGRESS) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
        return NULL;
    }
    c = need(calloc(1, sizeof(*c)));
    c->fd = fd;
    list_init(&c->idle);
    (void)event_assign(&c->io, load.base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_io, c);
    (void)event_add(&c->io, NULL);
    load.connections++;
    return c;
}

static struct conn *conn_take_idle(void)
{
    struct list_node *node = list_take_front(&load.idle);
    struct conn *c;

    if (node == NULL)
        return NULL;
    c = CONTAINER_OF(node, struct conn, idle);
    c->reused = c->writable = true;
    return c;
}

static bool conn_peer_left(const struct conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0;
}

/* ------------------------------------------------------------------------------------------- calls */

static void call_connect(struct call *call, struct conn *c);

static void call_finish(struct call *call, enum outcome outcome)
{
    struct result *result = &load.results[call->index];
    struct conn *c = call->conn;
    int64_t now = now_ns();

    result->outcome = (uint8_t)outcome;
    result->latency_ns = now - call->due_ns;
    result->from_sent_ns = call->sent_ns != 0 ? now - call->sent_ns : -1;
    if (outcome == COMPLETED)
        result->status = (uint16_t)call->response.status;
    (void)event_del(&call->tick);
    (void)event_del(&call->abort);
    (void)event_del(&call->timeout);
    if (c != NULL) {
        c->call = NULL;
        if (outcome == COMPLETED && opt.keepalive && call->response.keep_alive && !call->eof &&
            call->body_left == 0 && evbuffer_get_length(call->out) == 0)
            list_push_front(&load.idle, &c->idle);
        else
            conn_close(c, outcome == ABORTED && opt.abort_rst &&
                              (!opt.abort_close || random_of(call->index) & 1));
    }
    evbuffer_free(call->in);
    evbuffer_free(call->out);
    free(call);
    load.done++;
    load.active--;
    if (load.done == opt.calls || opt.pace == PACE_CONCURRENCY)
        event_active(&load.pump, EV_TIMEOUT, 0);
}

static void call_fill_out(struct call *call)
{
    const char *head = load.heads[call->index % opt.path_count];

    (void)evbuffer_drain(call->out, evbuffer_get_length(call->out));
    call->sent_ns = 0;
    call->body_left = opt.body_bytes;
    call->response = (struct response){.state = STATUS_LINE};
    if (evbuffer_add_reference(call->out, head, strlen(head), NULL, NULL) != 0)
        (void)need(NULL);
}

/* The connection ended without a byte of the response. */
static void call_lost(struct call *call, enum outcome outcome)
{
    struct conn *c = call->conn;

    if (!c->reused) {
        call_finish(call, outcome);
        return;
    }
    /* A kept connection that the server gave up meanwhile says nothing about the server: once more, on a new one. */
    load.stale_retries++;
    c->call = NULL;
    conn_close(c, false);
    call->conn = NULL;
    call->eof = false;
    call_fill_out(call);
    call_connect(call, conn_open());
}

static uint64_t upload_room(const struct call *call)
{
    uint64_t room = call->body_left < call->upload_allowance ? call->body_left : call->upload_allowance;

    return room < BLOCK ? room : BLOCK;
}

/* Queues the next of the body, when what was queued before is out. */
static void top_up(struct call *call)
{
    uint64_t offset = opt.body_bytes - call->body_left;
    size_t room = (size_t)upload_room(call);

    if (room > PERIOD * 1024)
        room = PERIOD * 1024;
    if (room == 0 || evbuffer_get_length(call->out) != 0)
        return;
    if (evbuffer_add_reference(call->out, pattern + offset % PERIOD, room, NULL, NULL) != 0)
        (void)need(NULL);
    call->body_left -= room;
    if (call->upload_allowance != UINT64_MAX)
        call->upload_allowance -= room;
}

/* A write that fails is passed over: what the server still said is read first. */
static void call_write(struct call *call)
{
    struct conn *c = call->conn;

    for (;;) {
        int n;

        top_up(call);
        if (!c->writable || evbuffer_get_length(call->out) == 0)
            return;
        /* Taken before: the server may have the byte, and the processor, before the write returns. */
        if (call->sent_ns == 0)
            call->sent_ns = now_ns();
        n = evbuffer_write(call->out, c->fd);
        if (n < 0) {
            c->writable = false;
            return;
        }
        load.bytes_sent += (uint64_t)n;
    }
}

static void call_ended(struct call *call, bool reset)
{
    if (call->response.state == CONTENT_TO_CLOSE && !reset)
        call_finish(call, COMPLETED);
    else if (call->began)
        call_finish(call, INCOMPLETE);
    else
        call_lost(call, reset ? RESET : EMPTY);
}

/* Reads once. False: nothing more now, or the call is over. */
static bool call_read(struct call *call)
{
    static char block[BLOCK];
    struct conn *c = call->conn;
    size_t max = call->read_allowance < BLOCK ? (size_t)call->read_allowance : BLOCK;
    ssize_t n;

    if (!c->readable || max == 0)
        return false;
    n = recv(c->fd, block, max, 0);
    if (n < 0 && errno == EAGAIN) {
        c->readable = false;
        return false;
    }
    if (n <= 0) {
        call->eof = true;
        call_ended(call, n < 0);
        return false;
    }
    call->began = true;
    load.bytes_received += (uint64_t)n;
    if (call->read_allowance != UINT64_MAX)
        call->read_allowance -= (uint64_t)n;
    if (evbuffer_add(call->in, block, (size_t)n) != 0)
        (void)need(NULL);
    parse(&call->response, call->in);
    if (call->response.state < COMPLETE)
        return true;
    call_finish(call, call->response.state == COMPLETE ? COMPLETED : INVALID);
    return false;
}

static void call_step(struct call *call)
{
    struct conn *c = call->conn;

    call_write(call);
    /* Once the server has ended the connection there is nothing left to be slow for. */
    if (call->read_allowance == 0 && c->readable && conn_peer_left(c))
        call->read_allowance = UINT64_MAX;
    while (call_read(call))
        ;
}

static void call_connected(struct call *call)
{
    struct conn *c = call->conn;
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0) {
        call_finish(call, error == ECONNREFUSED ? REFUSED : error == ECONNRESET ? RESET : CONNECT_ERROR);
        return;
    }
    c->connected = true;
    call_step(call);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    if (c->call == NULL) {
        /* An idle connection: the server closes it, unless all that came is news of room to write. */
        if (what & EV_READ)
            conn_close(c, false);
        return;
    }
    c->readable |= (what & EV_READ) != 0;
    c->writable |= (what & EV_WRITE) != 0;
    if (c->connected)
        call_step(c->call);
    else if (what & (EV_WRITE | EV_READ))
        call_connected(c->call);
}

/* ------------------------------------------------------------------------------------------- pace */

/* Adds to the allowance what the rate has yielded since the last time. */
static void grant(uint64_t rate, int64_t elapsed_ns, uint64_t *granted, uint64_t *allowance)
{
    uint64_t yield = (uint64_t)(elapsed_ns / NS_PER_US) * rate / 1000000;

    if (rate == 0 || *allowance == UINT64_MAX)
        return;
    *allowance += yield - *granted;
    *granted = yield;
}

static void tick_every(struct call *call, int64_t period_ns)
{
    struct timeval period = timeval_of(period_ns);

    (void)event_add(&call->tick, &period);
}

static int64_t tick_period(uint64_t rate)
{
    return rate == 0 ? NS_PER_S : NS_PER_S / (int64_t)rate > TICK_NS ? NS_PER_S / (int64_t)rate : TICK_NS;
}

static int64_t shorter_period(void)
{
    int64_t upload_ns = tick_period(opt.upload_rate), read_ns = tick_period(opt.read_rate);

    return upload_ns < read_ns ? upload_ns : read_ns;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct call *call = arg;
    int64_t elapsed_ns = now_ns() - call->rates_since_ns;

    (void)fd;
    (void)what;
    if (call->conn == NULL) {
        call_connect(call, conn_open());
        return;
    }
    tick_every(call, shorter_period());
    grant(opt.upload_rate, elapsed_ns, &call->upload_granted, &call->upload_allowance);
    grant(opt.read_rate, elapsed_ns, &call->read_granted, &call->read_allowance);
    if (call->conn->connected)
        call_step(call);
}

/* --apart: as if a random part of the first period were over. */
static void begin_rates(struct call *call)
{
    int64_t period_ns = shorter_period();
    int64_t over_ns = opt.apart ? (int64_t)(random_of(call->index) % (uint64_t)period_ns) : 0;

    (void)event_del(&call->tick);
    call->rates_since_ns = now_ns() - over_ns;
    call->upload_granted = call->read_granted = 0;
    call->upload_allowance = opt.upload_rate != 0 ? 0 : UINT64_MAX;
    call->read_allowance = opt.read_rate != 0 ? 0 : UINT64_MAX;
    if (opt.upload_rate != 0 || opt.read_rate != 0)
        tick_every(call, period_ns - over_ns);
}

/* Puts the call on a connection; without one, errno says why. */
static void call_connect(struct call *call, struct conn *c)
{
    if (c == NULL && errno == EAGAIN) {
        tick_every(call, NS_PER_MS); /* a unix socket's backlog is full */
        return;
    }
    if (c == NULL) {
        call_finish(call, errno == ECONNREFUSED ? REFUSED : CONNECT_ERROR);
        return;
    }
    c->call = call;
    call->conn = c;
    begin_rates(call);
    if (c->connected)
        call_step(call);
}

static void on_abort(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    call_finish(arg, ABORTED);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    call_finish(arg, NO_ANSWER);
}

static void call_start(size_t index, int64_t due_ns)
{
    struct call *call = need(calloc(1, sizeof(*call)));
    struct conn *c;
    int64_t late_ns = now_ns() - due_ns;

    call->index = index;
    call->due_ns = due_ns;
    call->in = need(evbuffer_new());
    call->out = need(evbuffer_new());
    call_fill_out(call);
    (void)event_assign(&call->tick, load.base, -1, EV_PERSIST, on_tick, call);
    (void)event_assign(&call->abort, load.base, -1, 0, on_abort, call);
    (void)event_assign(&call->timeout, load.base, -1, 0, on_timeout, call);
    (void)event_add(&call->timeout, load.timeout);
    if (opt.aborts) {
        uint64_t span_ns = (uint64_t)(opt.abort_max_ns - opt.abort_min_ns) + 1;
        int64_t after_ns = opt.abort_min_ns + (int64_t)(random_of(~(uint64_t)index) % span_ns);
        struct timeval after = timeval_of(after_ns - late_ns);

        (void)event_add(&call->abort, &after);
    }
    if (late_ns > load.late_max_ns)
        load.late_max_ns = late_ns;
    if (++load.active > load.active_max)
        load.active_max = load.active;
    c = opt.keepalive ? conn_take_idle() : NULL;
    call_connect(call, c != NULL ? c : conn_open());
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    if (load.done == opt.calls)
        (void)event_base_loopbreak(load.base);
    while (load.next < opt.calls) {
        int64_t now = now_ns();
        int64_t due = opt.pace == PACE_CONCURRENCY ? now : load.start_ns;

        if (opt.pace == PACE_CONCURRENCY && load.active >= opt.concurrency)
            return;
        if (opt.pace == PACE_RATE)
            due += (int64_t)((double)load.next * (double)NS_PER_S / (double)opt.rate);
        if (due > now) {
            struct timeval in = timeval_of(due - now);

            (void)event_add(&load.pump, &in);
            return;
        }
        call_start(load.next++, due);
    }
}

/* ------------------------------------------------------------------------------------------ report */

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static double ms_at(const int64_t *sorted, size_t n, double share)
{
    size_t rank = (size_t)(share * (double)n + 0.999999);

    return (double)sorted[rank == 0 ? 0 : rank > n ? n - 1 : rank - 1] / 1e6;
}

/* A class of calls, as a number: CLASS_ALL, 100 to 599 for a status, or -1 - outcome. */
#define CLASS_ALL 0

static bool in_class(const struct result *r, int class)
{
    if (class == CLASS_ALL)
        return r->outcome != ABORTED;
    return class > 0 ? r->outcome == COMPLETED && r->status == class : r->outcome == -1 - class;
}

/* The latencies of one class of calls; nothing for a class without any. */
static bool print_class(const char *comma, int class, bool from_sent)
{
    int64_t *sorted = need(calloc(opt.calls, sizeof(*sorted)));
    size_t n = 0;

    for (size_t i = 0; i < opt.calls; i++) {
        const struct result *r = &load.results[i];

        if (in_class(r, class) && (!from_sent || r->from_sent_ns >= 0))
            sorted[n++] = from_sent ? r->from_sent_ns : r->latency_ns;
    }
    if (n != 0) {
        qsort(sorted, n, sizeof(*sorted), compare_ns);
        if (class > 0)
            printf("%s\"%d\"", comma, class);
        else
            printf("%s\"%s\"", comma, class == CLASS_ALL ? "all" : outcome_names[-1 - class]);
        printf(":{\"calls\":%zu,\"min\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}", n,
               (double)sorted[0] / 1e6, ms_at(sorted, n, 0.5), ms_at(sorted, n, 0.9), ms_at(sorted, n, 0.99),
               (double)sorted[n - 1] / 1e6);
    }
    free(sorted);
    return n != 0;
}

static void print_latencies(const char *name, const uint64_t *statuses, bool from_sent)
{
    const char *comma = "";

    printf(",\"%s\":{", name);
    if (print_class(comma, CLASS_ALL, from_sent))
        comma = ",";
    for (int status = 100; status < 600; status++)
        if (statuses[status] != 0 && print_class(comma, status, from_sent))
            comma = ",";
    for (int outcome = INCOMPLETE; outcome < OUTCOMES; outcome++)
        if (print_class(comma, -1 - outcome, from_sent))
            comma = ",";
    printf("}");
}

static void print_report(void)
{
    static uint64_t statuses[600];
    uint64_t outcomes[OUTCOMES] = {0};
    struct rusage usage;
    const char *comma = "";

    for (size_t i = 0; i < opt.calls; i++) {
        outcomes[load.results[i].outcome]++;
        statuses[load.results[i].status]++; /* [0]: without */
    }
    printf("{\"calls\":%" PRIu64, opt.calls);
    for (int i = 0; i < OUTCOMES; i++)
        printf(",\"%s\":%" PRIu64, outcome_names[i], outcomes[i]);
    printf(",\"status\":{");
    for (int i = 100; i < 600; i++)
        if (statuses[i] != 0) {
            printf("%s\"%d\":%" PRIu64, comma, i, statuses[i]);
            comma = ",";
        }
    printf("}");
    print_latencies("latency_ms", statuses, false);
    print_latencies("from_sent_ms", statuses, true);
    (void)getrusage(RUSAGE_SELF, &usage);
    printf(",\"connections\":%" PRIu64 ",\"stale_retries\":%" PRIu64 ",\"active_max\":%zu"
           ",\"bytes_sent\":%" PRIu64 ",\"bytes_received\":%" PRIu64
           ",\"start_late_ms_max\":%.3f,\"wall_s\":%.3f,\"cpu_s\":%.3f}\n",
           load.connections, load.stale_retries, load.active_max, load.bytes_sent, load.bytes_received,
           (double)load.late_max_ns / 1e6, (double)(now_ns() - load.start_ns) / 1e9,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

/* ----------------------------------------------------------------------------------------- options */

static const char usage_text[] =
    "usage: load --target ADDRESS --path /x [--path /y]... --calls N\n"
    "            (--rate R | --concurrency C | --at-once) [OPTION]...\n"
    "Makes HTTP/1.1 calls and prints, as one JSON object, how each ended.\n"
    "\n"
    "  --target ADDRESS        127.0.0.1:PORT, [::1]:PORT or unix:PATH\n"
    "  --path PATH             repeated: the calls take them in turn\n"
    "  --calls N               how many\n"
    "  --rate R                R calls a second, whatever becomes of them (open loop)\n"
    "  --at-once               all calls at the same instant\n"
    "  --concurrency C         C at a time: the next starts when one has ended (closed loop)\n"
    "  --keepalive             reuse connections, the most recent first; else each call has its own\n"
    "  --method M              default GET, or POST with --body\n"
    "  --header 'NAME: VALUE'  add a field line; repeated\n"
    "  --body BYTES            content of the request: the pattern of curfew faulty's /bytes\n"
    "  --upload-rate RATE      send the content at RATE bytes a second\n"
    "  --read-rate RATE        read the response at RATE bytes a second, from a small buffer\n"
    "  --apart                 the bytes of these rates go at instants of each call's own, else all at once\n"
    "  --abort-after MIN:MAX   leave at a random time between MIN and MAX milliseconds\n"
    "  --abort-with HOW        close, rst, or (default) both: one or the other, at random\n"
    "  --seed N                of the random times; default 1\n"
    "  --timeout SECONDS       give up on a call after this long; default 60\n"
    "  --verify                a 200's content must be the pattern of curfew faulty's /bytes\n"
    "  --help                  this text\n"
    "\n"
    "In the JSON, calls = completed + incomplete + empty + reset + refused + invalid + aborted +\n"
    "no_answer + connect_errors. Latencies are in milliseconds from the instant at which the call was\n"
    "due to its end: \"all\" (but those aborted), each status, each way of not completing. from_sent_ms\n"
    "is the same from the first byte that was sent.\n"
    "Exit status: 0 it ran, 1 it could not, 2 wrong usage.\n";

static _Noreturn void complain(const char *what, const char *name)
{
    (void)fprintf(stderr, "load: %s%s\nTry 'load --help'.\n", what, name);
    exit(2);
}

static uint64_t number_in(const char *text, const char *option, uint64_t min, uint64_t max)
{
    uint64_t n;

    if (number_u64(span_of(text), &n) != NUMBER_OK || n < min || n > max)
        complain("a number that is malformed or out of bounds after ", option);
    return n;
}

static void set_target(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t host_len = colon != NULL ? (size_t)(colon - text) : 0;
    char host[INET6_ADDRSTRLEN + 2] = "";

    opt.target_text = text;
    if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof(opt.target.un.sun_path)) {
        opt.target.un.sun_family = AF_UNIX;
        memcpy(opt.target.un.sun_path, text + 5, strlen(text + 5) + 1);
        opt.target_len = sizeof(opt.target.un);
        return;
    }
    if (host_len == 0 || host_len >= sizeof(host))
        complain("not an address: ", text);
    memcpy(host, text, host_len);
    if (host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = '\0';
        opt.target.in6.sin6_family = AF_INET6;
        opt.target.in6.sin6_port = htons((uint16_t)number_in(colon + 1, "--target", 1, 65535));
        opt.target_len = sizeof(opt.target.in6);
        if (inet_pton(AF_INET6, host + 1, &opt.target.in6.sin6_addr) == 1)
            return;
    }
    opt.target.in4.sin_family = AF_INET;
    opt.target.in4.sin_port = htons((uint16_t)number_in(colon + 1, "--target", 1, 65535));
    opt.target_len = sizeof(opt.target.in4);
    if (inet_pton(AF_INET, host, &opt.target.in4.sin_addr) != 1)
        complain("not an address: ", text);
}

static void add_field(const char *line)
{
    size_t had = opt.fields != NULL ? strlen(opt.fields) : 0;
    size_t room = had + strlen(line) + 3;

    if (strchr(line, ':') == NULL)
        complain("not a field line: ", line);
    opt.has_host |= strncasecmp(line, "Host:", 5) == 0;
    opt.fields = need(realloc(opt.fields, room));
    (void)snprintf(opt.fields + had, room - had, "%s\r\n", line);
}

static void set_aborts(const char *text)
{
    char min[24];
    const char *colon = strchr(text, ':');

    if (colon == NULL || (size_t)(colon - text) >= sizeof(min))
        complain("--abort-after takes MIN:MAX, not ", text);
    memcpy(min, text, (size_t)(colon - text));
    min[colon - text] = '\0';
    opt.abort_min_ns = (int64_t)number_in(min, "--abort-after", 0, 86400000) * NS_PER_MS;
    opt.abort_max_ns = (int64_t)number_in(colon + 1, "--abort-after", 0, 86400000) * NS_PER_MS;
    if (opt.abort_max_ns < opt.abort_min_ns)
        complain("--abort-after takes MIN:MAX, not ", text);
    opt.aborts = true;
}

static void set_pace(enum pace pace)
{
    if (opt.pace != PACE_NONE)
        complain("only one of --rate, --concurrency and --at-once", "");
    opt.pace = pace;
}

static void set_abort_with(const char *how)
{
    opt.abort_close = strcmp(how, "rst") != 0;
    opt.abort_rst = strcmp(how, "close") != 0;
    if (opt.abort_close && opt.abort_rst && strcmp(how, "both") != 0)
        complain("--abort-with takes close, rst or both, not ", how);
}

static const struct option long_options[] = {
    {"target", required_argument, NULL, 't'},
    {"path", required_argument, NULL, 'p'},
    {"calls", required_argument, NULL, 'n'},
    {"rate", required_argument, NULL, 'r'},
    {"concurrency", required_argument, NULL, 'c'},
    {"at-once", no_argument, NULL, 'a'},
    {"keepalive", no_argument, NULL, 'k'},
    {"method", required_argument, NULL, 'm'},
    {"header", required_argument, NULL, 'H'},
    {"body", required_argument, NULL, 'b'},
    {"upload-rate", required_argument, NULL, 'u'},
    {"read-rate", required_argument, NULL, 'd'},
    {"abort-after", required_argument, NULL, 'A'},
    {"abort-with", required_argument, NULL, 'W'},
    {"seed", required_argument, NULL, 's'},
    {"timeout", required_argument, NULL, 'T'},
    {"verify", no_argument, NULL, 'v'},
    {"apart", no_argument, NULL, 'i'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void add_path(const char *path)
{
    if (opt.path_count == PATHS_MAX || path[0] != '/')
        complain("too many paths, or one that does not begin with /: ", path);
    opt.paths[opt.path_count++] = path;
}

static void take_option(int option, const char *value, const char *given)
{
    switch (option) {
    case 't': set_target(value); break;
    case 'p': add_path(value); break;
    case 'n': opt.calls = number_in(value, given, 1, CALLS_MAX); break;
    case 'r':
        set_pace(PACE_RATE);
        opt.rate = number_in(value, given, 1, 1000000);
        break;
    case 'c':
        set_pace(PACE_CONCURRENCY);
        opt.concurrency = number_in(value, given, 1, 100000);
        break;
    case 'a': set_pace(PACE_AT_ONCE); break;
    case 'k': opt.keepalive = true; break;
    case 'm': opt.method = value; break;
    case 'H': add_field(value); break;
    case 'b':
        opt.body_bytes = number_in(value, given, 0, UINT64_C(1) << 40);
        opt.has_body = true;
        break;
    case 'u': opt.upload_rate = number_in(value, given, 1, NS_PER_S); break;
    case 'd': opt.read_rate = number_in(value, given, 1, NS_PER_S); break;
    case 'A': set_aborts(value); break;
    case 'W': set_abort_with(value); break;
    case 's': opt.seed = number_in(value, given, 0, UINT64_MAX); break;
    case 'T': opt.timeout_ns = (int64_t)number_in(value, given, 1, 86400) * NS_PER_S; break;
    case 'v': opt.verify = true; break;
    case 'i': opt.apart = true; break;
    case 'h': (void)fputs(usage_text, stdout); exit(0);
    default: complain("unknown option, or a value is missing: ", given);
    }
}

static void parse_options(int argc, char **argv)
{
    int option;

    opt.seed = 1;
    opt.timeout_ns = 60 * NS_PER_S;
    opt.abort_close = opt.abort_rst = true;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(option, optarg, argv[optind - 1]);
    if (optind < argc)
        complain("unexpected argument ", argv[optind]);
    if (opt.target_text == NULL || opt.path_count == 0 || opt.calls == 0 || opt.pace == PACE_NONE)
        complain("--target, --path, --calls and one of --rate, --concurrency and --at-once are needed", "");
    if (opt.method == NULL)
        opt.method = opt.has_body ? "POST" : "GET";
}

/* -------------------------------------------------------------------------------------------- main */

static char *make_head(const char *path)
{
    char length[64] = "", host[160] = "";
    char *head;
    int made;

    if (opt.has_body)
        (void)snprintf(length, sizeof(length), "Content-Length: %" PRIu64 "\r\n", opt.body_bytes);
    if (!opt.has_host)
        (void)snprintf(host, sizeof(host), "Host: %s\r\n",
                       opt.target.any.sa_family == AF_UNIX ? "localhost" : opt.target_text);
    made = asprintf(&head, "%s %s HTTP/1.1\r\n%s%s%s%s\r\n", opt.method, path, host, length,
                    opt.keepalive ? "" : "Connection: close\r\n", opt.fields != NULL ? opt.fields : "");
    return need(made < 0 ? NULL : head);
}

static void prepare(void)
{
    static const char period[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy";
    struct rlimit limit;
    struct event_config *config = need(event_config_new());
    struct timeval timeout = timeval_of(opt.timeout_ns);

    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = period[i % PERIOD];
    for (size_t i = 0; i < opt.path_count; i++)
        load.heads[i] = make_head(opt.paths[i]);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    load.base = need(event_base_new_with_config(config));
    event_config_free(config);
    load.timeout = event_base_init_common_timeout(load.base, &timeout);
    load.results = need(calloc(opt.calls, sizeof(*load.results)));
    list_init(&load.idle);
    (void)event_assign(&load.pump, load.base, -1, 0, on_pump, NULL);
}

static void clean_up(void)
{
    while (!list_is_empty(&load.idle))
        conn_close(CONTAINER_OF(load.idle.next, struct conn, idle), false);
    (void)event_del(&load.pump);
    for (size_t i = 0; i < opt.path_count; i++)
        free(load.heads[i]);
    free(load.results);
    free(opt.fields);
    event_base_free(load.base);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    prepare();
    load.start_ns = now_ns();
    event_active(&load.pump, EV_TIMEOUT, 0);
    (void)event_base_dispatch(load.base);
    print_report();
    clean_up();
    return 0;
}
