#include "app/admin_client.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/bytes.h"
#include "app/config_file.h"
#include "base/mem.h"
#include "config/address.h"
#include "base/number.h"
#include "runtime/listen.h"
#include "runtime/loop.h"

/* The page of a thousand upstreams, and some. */
#define ANSWER_MAX ((size_t)64 << 20)

/*
 * Where the content begins, and how long its head says that it is; SIZE_MAX: it does not. NULL: the head is not there.
 */
static const char *find_content(const struct bytes *bytes, size_t *len)
{
    static const char length_name[] = "\r\nContent-Length:";
    const char *end = strstr(bytes->ptr, "\r\n\r\n");
    const char *length = end != NULL ? strcasestr(bytes->ptr, length_name) : NULL;

    *len = SIZE_MAX;
    if (length != NULL && length < end)
        *len = strtoul(length + sizeof(length_name) - 1, NULL, 10);
    return end != NULL ? end + 4 : NULL;
}

static bool is_whole(const struct bytes *bytes)
{
    size_t len;
    const char *content = find_content(bytes, &len);

    return content != NULL && (size_t)(bytes->ptr + bytes->len - content) >= len;
}

/* The time that is left for a piece is what it was at first, or what is left of that for all. False: nothing is. */
static bool set_patience(int fd, const struct admin_question *question, int64_t since_ns)
{
    int64_t spent_ns = question->patience_is_for_all ? loop_clock_ns() - since_ns : 0;
    int64_t left_us = (question->patience_s * NS_PER_S - spent_ns) / NS_PER_US;
    const struct timeval left = {left_us / 1000000, left_us % 1000000};

    errno = EAGAIN;
    if (left_us <= 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left)); /* without it, Ctrl-C helps */
    return true;
}

/* All that comes, to the end of the answer or of the connection; terminated. False: errno. */
static bool receive(int fd, const struct admin_question *question, int64_t since_ns, struct bytes *bytes)
{
    ssize_t n;

    do {
        if (!set_patience(fd, question, since_ns))
            return false;
        if (bytes->cap - bytes->len < 2 && (bytes->cap >= ANSWER_MAX || !bytes_grow(bytes))) {
            errno = ENOMEM;
            return false;
        }
        n = recv(fd, bytes->ptr + bytes->len, bytes->cap - bytes->len - 1, 0);
        if (n < 0 && errno != EINTR)
            return false;
        bytes->len += n > 0 ? (size_t)n : 0;
        bytes->ptr[bytes->len] = '\0';
    } while (n != 0 && !is_whole(bytes));
    return true;
}

static bool send_all(int fd, const char *request, size_t len)
{
    ssize_t n;

    for (size_t sent = 0; sent<len; sent += n> 0 ? (size_t)n : 0) {
        n = send(fd, request + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
    }
    return true;
}

/* False: errno. */
static bool exchange(const struct endpoint *address, const struct admin_question *question,
                     struct bytes *bytes)
{
    int64_t since_ns = loop_clock_ns();
    char request[2048];
    int len =
        snprintf(request, sizeof(request), "%s %s HTTP/1.0\r\nHost: curfew\r\nContent-Length: 0\r\n\r\n",
                 question->method, question->target);
    int fd, why;
    bool is_done;

    if (len < 0 || (size_t)len >= sizeof(request)) {
        errno = EMSGSIZE;
        return false;
    }
    fd = listen_connect(address, question->patience_s);
    if (fd < 0)
        return false;
    is_done = send_all(fd, request, (size_t)len) && receive(fd, question, since_ns, bytes);
    why = errno;
    (void)close(fd);
    errno = why;
    return is_done;
}

/* False: this is no answer, or not a whole one. */
static bool understand(const struct bytes *bytes, struct admin_answer *answer)
{
    size_t told, len;
    const char *content = find_content(bytes, &told);

    if (content == NULL || sscanf(bytes->ptr, "HTTP/%*d.%*d %d", &answer->status) != 1)
        return false;
    len = (size_t)(bytes->ptr + bytes->len - content);
    answer->content = (struct span){content, len};
    return told == SIZE_MAX || told == len;
}

bool admin_client_ask(const struct admin_question *question, struct admin_answer *answer, char *why,
                      size_t why_cap)
{
    struct bytes bytes = {0};
    struct endpoint address;
    const char *wrong = address_parse(question->where, &address);

    *answer = (struct admin_answer){0};
    address.text = question->where;
    if (wrong == NULL && !exchange(&address, question, &bytes)) {
        answer->nobody_is_there = errno == ECONNREFUSED || errno == ENOENT;
        wrong = errno == EAGAIN || errno == EINPROGRESS ? "no answer in time" : strerror(errno);
    }
    answer->block = bytes.ptr;
    if (wrong == NULL && !understand(&bytes, answer))
        wrong = bytes.len == 0 ? "the connection was closed without an answer"
                               : "this does not seem to be a curfew, or it has ended in the middle";
    if (wrong != NULL)
        snprintf(why, why_cap, "%s", wrong);
    return wrong == NULL;
}

void admin_answer_free(struct admin_answer *answer)
{
    mem_free(answer->block);
    *answer = (struct admin_answer){0};
}

void admin_answer_put_why(const struct admin_answer *answer, char *why, size_t why_cap)
{
    json_t *problem = json_loadb(answer->content.ptr, answer->content.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));

    if (detail != NULL)
        snprintf(why, why_cap, "%s", detail);
    else
        snprintf(why, why_cap, "status %d: %.*s", answer->status, (int)strcspn(answer->content.ptr, "\r\n"),
                 answer->content.ptr);
    json_decref(problem);
}

bool admin_client_find(const char *path, const char *address, char *where, size_t cap)
{
    if (address == NULL)
        return config_file_find_admin(path, false, stderr, where, cap);
    if ((size_t)snprintf(where, cap, "%s", address) < cap)
        return true;
    fprintf(stderr, "curfew: %s: too long for an address\n", address);
    return false;
}
