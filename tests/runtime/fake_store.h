#ifndef CURFEW_TESTS_RUNTIME_FAKE_STORE_H
#define CURFEW_TESTS_RUNTIME_FAKE_STORE_H

#include "support.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A store on the test's own loop, that answers what the test tells it to. */
#define FAKE_CONNS 16
#define FAKE_WORDS 16

struct fake_store;

struct fake_conn {
    struct fake_store *fake;
    struct event event;
    int fd; /* -1: free */
    char in[65536];
    size_t len;
};

/* One command has come; answers by fake_say, or not at all. */
typedef void (*fake_fn)(struct fake_conn *conn, const char *const *words, int count);

struct fake_store {
    struct loop *loop;
    int fd;
    uint16_t port;
    struct event event;
    struct fake_conn conns[FAKE_CONNS];
    int accepted, commands;
    fake_fn answer;
    void *arg;
    char log[8192]; /* the words of all commands, a line each */
};

static inline void fake_say(struct fake_conn *conn, const char *text)
{
    assert_int_equal(send(conn->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void fake_hang_up(struct fake_conn *conn)
{
    event_del(&conn->event);
    close(conn->fd);
    conn->fd = -1;
}

/* HELLO as Redis answers it, of a master or a replica. */
static inline void fake_hello(struct fake_conn *conn, const char *role)
{
    char text[256];

    snprintf(
        text, sizeof(text),
        "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.1\r\n$5\r\nproto\r\n:2\r\n"
        "$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$%zu\r\n%s\r\n$7\r\nmodules\r\n*0\r\n",
        strlen(role), role);
    fake_say(conn, text);
}

/* Bytes of a whole command at the front of `in`, and its words, terminated in place; 0: it is not whole. */
static inline size_t fake_parse(char *in, size_t len, char **words, int *count)
{
    char *at = in, *end;

    in[len] = '\0';
    if (len == 0 || memchr(in, '\n', len) == NULL)
        return 0;
    assert_int_equal(*at, '*');
    *count = (int)strtol(at + 1, &end, 10);
    at = end + 2;
    for (int i = 0; i < *count; i++) {
        size_t size;

        if (at >= in + len || memchr(at, '\n', (size_t)(in + len - at)) == NULL)
            return 0;
        assert_int_equal(*at, '$');
        size = (size_t)strtol(at + 1, &end, 10);
        at = end + 2;
        if (at + size + 2 > in + len)
            return 0;
        if (i < FAKE_WORDS)
            words[i] = at;
        at += size + 2;
    }
    for (int i = 0; i < *count && i < FAKE_WORDS; i++)
        *strstr(words[i], "\r\n") = '\0';
    return (size_t)(at - in);
}

static inline void fake_note(struct fake_store *fake, char *const *words, int count)
{
    fake->commands++;
    for (int i = 0; i < count && i < FAKE_WORDS; i++) {
        strncat(fake->log, words[i], sizeof(fake->log) - strlen(fake->log) - 1);
        strncat(fake->log, i + 1 < count ? " " : "\n", sizeof(fake->log) - strlen(fake->log) - 1);
    }
}

static inline void fake_reads(evutil_socket_t fd, short what, void *arg)
{
    struct fake_conn *conn = arg;
    char *words[FAKE_WORDS];
    size_t taken;
    int count;
    ssize_t n = recv(fd, conn->in + conn->len, sizeof(conn->in) - 1 - conn->len, 0);

    (void)what;
    if (n <= 0) {
        fake_hang_up(conn);
        return;
    }
    conn->len += (size_t)n;
    while (conn->fd >= 0 && (taken = fake_parse(conn->in, conn->len, words, &count)) > 0) {
        fake_note(conn->fake, words, count);
        conn->fake->answer(conn, (const char *const *)words, count);
        memmove(conn->in, conn->in + taken, conn->len - taken);
        conn->len -= taken;
    }
}

static inline void fake_accepts(evutil_socket_t fd, short what, void *arg)
{
    struct fake_store *fake = arg;
    struct fake_conn *conn = fake->conns;

    (void)what;
    while (conn->fd >= 0)
        conn++;
    assert_true(conn < fake->conns + FAKE_CONNS);
    conn->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    conn->fake = fake;
    conn->len = 0;
    fake->accepted++;
    assert_true(conn->fd >= 0);
    event_assign(&conn->event, fake->loop->base, conn->fd, EV_READ | EV_PERSIST, fake_reads, conn);
    event_add(&conn->event, NULL);
}

static inline struct fake_store *fake_start(struct loop *loop, fake_fn answer, void *arg)
{
    struct fake_store *fake = calloc(1, sizeof(*fake));
    struct sockaddr_in address;

    fake->loop = loop;
    fake->answer = answer;
    fake->arg = arg;
    for (int i = 0; i < FAKE_CONNS; i++)
        fake->conns[i].fd = -1;
    fake->fd = bound_socket(SOCK_STREAM, &address);
    fake->port = ntohs(address.sin_port);
    assert_int_equal(listen(fake->fd, 16), 0);
    event_assign(&fake->event, loop->base, fake->fd, EV_READ | EV_PERSIST, fake_accepts, fake);
    event_add(&fake->event, NULL);
    return fake;
}

static inline void fake_stop(struct fake_store *fake)
{
    for (int i = 0; i < FAKE_CONNS; i++) {
        if (fake->conns[i].fd >= 0)
            fake_hang_up(&fake->conns[i]);
    }
    event_del(&fake->event);
    close(fake->fd);
    free(fake);
}

#endif
