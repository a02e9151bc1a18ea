#include "runtime/proxy_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/loop.h"
#include "runtime/transport.h"

#define ROOM_FIRST      1024u
/* Of the answer's first line, as it is told. */
#define LINE_TOLD       64u
/* A status that says nothing of the place: the proxy does not know who asks. */
#define UNAUTHENTICATED 407u

static enum status fail(struct proxy_failure *failure, enum cause cause, const char *why)
{
    *failure = (struct proxy_failure){.cause = cause};
    snprintf(failure->why, sizeof(failure->why), "%s", why);
    return ST_FAILED;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

/* How long the head is that begins here; 0: its end has not come. Lines may end with LF alone. */
static size_t head_length(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != '\n')
            continue;
        if (i + 1 < count && bytes[i + 1] == '\n')
            return i + 2;
        if (i + 2 < count && bytes[i + 1] == '\r' && bytes[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.x NNN", and a reason or none. 0: it is no status line. */
static unsigned read_status(struct span line)
{
    const char *c = line.ptr;

    if (line.len < 12 || memcmp(c, "HTTP/1.", 7) != 0 || !is_digit(c[7]) || c[8] != ' ')
        return 0;
    if (!is_digit(c[9]) || !is_digit(c[10]) || !is_digit(c[11]) || (line.len > 12 && c[12] != ' '))
        return 0;
    return (unsigned)(c[9] - '0') * 100 + (unsigned)(c[10] - '0') * 10 + (unsigned)(c[11] - '0');
}

unsigned proxy_answer_read(const char *bytes, size_t count, size_t *len, struct span *line)
{
    size_t at = 0, head;
    unsigned status = 100;

    *len = 0;
    for (; status >= 100 && status < 200; at += head) {
        const char *end;

        head = head_length(bytes + at, count - at);
        if (head == 0)
            return 0;
        end = memchr(bytes + at, '\n', head);
        *line = (struct span){bytes + at, (size_t)(end - (bytes + at))};
        if (line->len != 0 && line->ptr[line->len - 1] == '\r')
            line->len--;
        status = read_status(*line);
    }
    *len = at;
    return status;
}

/* Without control bytes: it is told to people. */
static void put_line(struct proxy_failure *failure, struct span line)
{
    char told[LINE_TOLD + 1];
    size_t len = line.len < LINE_TOLD ? line.len : LINE_TOLD;

    for (size_t i = 0; i < len; i++)
        told[i] = line.ptr[i] >= ' ' && line.ptr[i] <= '~' ? line.ptr[i] : '?';
    told[len] = '\0';
    snprintf(failure->why, sizeof(failure->why), "the proxy answered %s",
             len > sizeof("HTTP/1.1 ") - 1 ? told + sizeof("HTTP/1.1 ") - 1 : told);
}

/* ST_AGAIN: it has not come whole. */
static enum status judge(const struct proxy_ask *ask, size_t *len, struct proxy_failure *failure)
{
    struct span line;
    unsigned status = proxy_answer_read(ask->head, ask->len, len, &line);

    if ((*len != 0 ? *len : ask->len) > ask->spec->answer_max)
        return fail(failure, CAUSE_PROXY_REFUSED, "the head of the proxy's answer is too large");
    if (*len == 0)
        return ST_AGAIN;
    if (status >= 200 && status < 300)
        return ST_OK;
    if (status == 0)
        return fail(failure, CAUSE_PROXY_REFUSED, "what came from the proxy is no HTTP");
    *failure = (struct proxy_failure){.cause = CAUSE_PROXY_REFUSED, .is_of_place = status != UNAUTHENTICATED};
    put_line(failure, line);
    return ST_FAILED;
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static enum status send_ask(struct proxy_ask *ask, struct transport *transport, struct proxy_failure *failure)
{
    const struct proxy_spec *spec = ask->spec;

    while (ask->sent < spec->ask.len) {
        struct iovec rest = {(char *)(uintptr_t)spec->ask.ptr + ask->sent, spec->ask.len - ask->sent};
        size_t written;
        enum status status = transport_write(transport, &rest, 1, &written);

        if (status == ST_AGAIN)
            return ST_AGAIN;
        if (status != ST_OK)
            return fail(failure, CAUSE_PROXY_REFUSED, "the proxy closed the connection");
        ask->sent += written;
    }
    return ST_OK;
}

static bool make_room(struct proxy_ask *ask)
{
    size_t cap = ask->cap != 0 ? ask->cap * 2 : ROOM_FIRST;
    char *head;

    if (ask->len < ask->cap)
        return true;
    head = mem_realloc(ask->head, cap);
    if (head == NULL)
        return false;
    ask->head = head;
    ask->cap = cap;
    return true;
}

/* What is behind the answer's head stays in the socket: so it is looked at first, and then that much is taken. */
static enum status take_some(struct proxy_ask *ask, struct transport *transport,
                             struct proxy_failure *failure)
{
    size_t before = ask->len, whole;
    enum status status;
    ssize_t count;

    if (!make_room(ask))
        return fail(failure, CAUSE_INTERNAL, strerror(ENOMEM));
    count = recv(transport->fd, ask->head + before, ask->cap - before, MSG_PEEK);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return ST_AGAIN;
    if (count <= 0)
        return fail(failure, CAUSE_PROXY_REFUSED, "the proxy closed the connection");
    ask->len = before + (size_t)count;
    status = judge(ask, &whole, failure);
    if (status == ST_OK)
        ask->len = whole;
    PRE(ask->len > before); /* a head that was whole before was judged then */
    if (recv(transport->fd, ask->head + before, ask->len - before, 0) != (ssize_t)(ask->len - before))
        return fail(failure, CAUSE_INTERNAL, "what had come from the proxy is there no more");
    return status == ST_AGAIN ? ST_OK : status == ST_OK ? ST_EOF : status;
}

enum status proxy_ask_step(struct proxy_ask *ask, struct transport *transport, struct proxy_failure *failure)
{
    enum status status = send_ask(ask, transport, failure);

    while (status == ST_OK)
        status = take_some(ask, transport, failure);
    return status == ST_EOF ? ST_OK : status;
}

bool proxy_ask_next(struct proxy_ask *ask)
{
    const struct proxy_spec *next = ask->spec->next;

    if (next == NULL)
        return false;
    proxy_ask_fini(ask);
    ask->spec = next;
    return true;
}

void proxy_ask_fini(struct proxy_ask *ask)
{
    mem_free(ask->head);
    *ask = (struct proxy_ask){0};
}
