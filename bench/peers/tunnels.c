/*
 * tunnels: a client that holds tunnels open, or opens one after the other, by way of a proxy; and says how many bytes'
 * worth of it went as they had to. One thread, epoll, closed loop: each tunnel has one message on its way.
 *
 *   tunnels echo HOST PORT PATH COUNT SECONDS BYTES     WebSockets (RFC 6455) to an API that sends each message back
 *   tunnels connect HOST PORT TARGET COUNT SECONDS      COUNT at a time: CONNECT TARGET, GET /small in it, and its end
 *
 * Prints {"opened":…,"done":…,"wrong":…,"seconds":…}: of an echo `done` is messages, of connect whole tunnels.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX 65000
#define HEAD_MAX  4096

/* A tunnel is ASKED for until the proxy's head has come; what comes then is CONTENT. */
enum state { ASKED, CONTENT };

struct tunnel {
    int fd;
    enum state state;
    size_t len; /* of the head while it is ASKED for, then of what came since the last message */
    char head[HEAD_MAX];
};

struct job {
    bool echo;
    struct sockaddr_in proxy;
    char ask[1024];
    char message[BYTES_MAX + 16]; /* what goes into an open tunnel */
    size_t message_len;
    size_t answer_len; /* of an echo; of CONNECT the least that is an answer */
    const char *agreed;
    double end;
    long opened, done, wrong;
};

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void tunnel_open(struct job *job, struct tunnel *tunnel, int poller)
{
    int on = 1;
    tunnel->state = ASKED;
    tunnel->len = 0;
    tunnel->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (tunnel->fd < 0 || connect(tunnel->fd, (struct sockaddr *)&job->proxy, sizeof job->proxy) != 0) {
        perror("tunnels: connect");
        exit(1);
    }
    setsockopt(tunnel->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tunnel};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, tunnel->fd, &event) != 0 ||
        !send_all(tunnel->fd, job->ask, strlen(job->ask)))
        job->wrong++;
}

/* Of CONNECT the next one begins where one has ended; an echo's tunnel does not come back. */
static void tunnel_over(struct job *job, struct tunnel *tunnel, int poller)
{
    close(tunnel->fd);
    tunnel->fd = -1;
    if (!job->echo && now() < job->end)
        tunnel_open(job, tunnel, poller);
}

static void head_read(struct job *job, struct tunnel *tunnel, const char *bytes, size_t len)
{
    if (tunnel->len + len >= HEAD_MAX) {
        job->wrong++;
        return;
    }
    memcpy(tunnel->head + tunnel->len, bytes, len);
    tunnel->len += len;
    tunnel->head[tunnel->len] = 0;
    if (!strstr(tunnel->head, "\r\n\r\n"))
        return;
    if (strncmp(tunnel->head + strlen("HTTP/1.x "), job->agreed, 3) != 0 ||
        !send_all(tunnel->fd, job->message, job->message_len)) {
        job->wrong++;
        return;
    }
    tunnel->state = CONTENT;
    tunnel->len = 0;
    job->opened++;
}

static void content_read(struct job *job, struct tunnel *tunnel, size_t len)
{
    tunnel->len += len;
    if (!job->echo || tunnel->len < job->answer_len)
        return;
    if (tunnel->len > job->answer_len)
        job->wrong++;
    tunnel->len = 0;
    job->done++;
    if (now() < job->end && !send_all(tunnel->fd, job->message, job->message_len))
        job->wrong++;
}

static void tunnel_readable(struct job *job, struct tunnel *tunnel, int poller)
{
    static char block[65536];
    ssize_t len = recv(tunnel->fd, block, sizeof block, 0);
    if (len <= 0) {
        if (!job->echo && tunnel->state == CONTENT && tunnel->len >= job->answer_len)
            job->done++;
        else
            job->wrong++;
        tunnel_over(job, tunnel, poller);
    } else if (tunnel->state == ASKED) {
        head_read(job, tunnel, block, (size_t)len);
    } else {
        content_read(job, tunnel, (size_t)len);
    }
}

/* One message of a client's: a final binary frame, masked with zeros. */
static void frame_make(struct job *job, size_t bytes)
{
    size_t at = 0;
    job->message[at++] = (char)0x82;
    if (bytes < 126) {
        job->message[at++] = (char)(0x80 | bytes);
    } else {
        job->message[at++] = (char)(0x80 | 126);
        job->message[at++] = (char)(bytes >> 8);
        job->message[at++] = (char)(bytes & 0xff);
    }
    job->answer_len = at + bytes;
    memset(job->message + at, 0, 4);
    memset(job->message + at + 4, 'x', bytes);
    job->message_len = at + 4 + bytes;
}

static void job_make(struct job *job, char **argv)
{
    job->echo = strcmp(argv[1], "echo") == 0;
    job->proxy.sin_family = AF_INET;
    job->proxy.sin_port = htons((uint16_t)atoi(argv[3]));
    inet_pton(AF_INET, argv[2], &job->proxy.sin_addr);
    if (job->echo) {
        snprintf(job->ask, sizeof job->ask,
                 "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                 argv[4], argv[2], argv[3]);
        job->agreed = "101";
        frame_make(job, (size_t)atoi(argv[7]));
    } else {
        snprintf(job->ask, sizeof job->ask, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[4], argv[4]);
        job->agreed = "200";
        job->message_len =
            (size_t)snprintf(job->message, sizeof job->message,
                             "GET /small HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[4]);
        job->answer_len = 128;
    }
}

int main(int argc, char **argv)
{
    static struct job job;
    if (argc < 7 || (strcmp(argv[1], "echo") == 0 ? argc != 8 || atoi(argv[7]) > BYTES_MAX : argc != 7)) {
        fprintf(
            stderr,
            "usage: tunnels echo HOST PORT PATH COUNT SECONDS BYTES | connect HOST PORT TARGET COUNT SECONDS\n");
        return 2;
    }
    job_make(&job, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    int count = atoi(argv[5]), poller = epoll_create1(0);
    struct tunnel *tunnels = calloc((size_t)count, sizeof *tunnels);
    double start = now();
    job.end = start + atof(argv[6]);
    for (int i = 0; i < count; i++)
        tunnel_open(&job, &tunnels[i], poller);
    while (now() < job.end) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 100);
        for (int i = 0; i < ready; i++)
            tunnel_readable(&job, events[i].data.ptr, poller);
    }
    printf("{\"opened\":%ld,\"done\":%ld,\"wrong\":%ld,\"seconds\":%.3f}\n", job.opened, job.done, job.wrong,
           now() - start);
    return 0;
}
