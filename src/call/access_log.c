#include "call/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/thread.h"

#define RING_BYTES (512u * 1024)
/* After a line has come, others get this long to come along: one write for many. */
#define GATHER_NS  5000000L
/* How long the end of the process waits for a reader who has stopped. */
#define FAREWELL_S 1

/* One producer, one consumer. Both count bytes for ever; the place is the count modulo the size. */
struct log_ring {
    _Alignas(64) atomic_size_t put;   /* by the worker */
    _Alignas(64) atomic_size_t taken; /* by the writer */
    struct access_log *log;
    char *bytes;
};

struct access_log {
    int fd;
    atomic_int next_fd; /* where to go on; -1: there is nothing new */
    uint32_t ring_count;
    struct log_ring *rings;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool asleep;
    atomic_bool stop;
    atomic_ullong lost;
    /* the writer's */
    bool file_mid_line; /* the last byte that was written ended no line */
    bool lost_mid_line; /* the last byte that was lost ended no line: the rest of it is of no use */
    bool resumes;       /* bytes were lost before those that come next */
};

bool log_ring_put(struct log_ring *ring, struct span line)
{
    size_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
    size_t taken = atomic_load_explicit(&ring->taken, memory_order_acquire);
    size_t at = put % RING_BYTES;
    size_t first = RING_BYTES - at < line.len ? RING_BYTES - at : line.len;
    struct access_log *log = ring->log;

    PRE(put - taken <= RING_BYTES);
    if (line.len > RING_BYTES - (put - taken))
        return false;
    memcpy(ring->bytes + at, line.ptr, first);
    memcpy(ring->bytes, line.ptr + first, line.len - first);
    /* Sequentially consistent with `asleep`: either the writer sees the line, or we see that it sleeps. */
    atomic_store(&ring->put, put + line.len);
    if (atomic_load(&log->asleep)) {
        pthread_mutex_lock(&log->lock);
        atomic_store(&log->asleep, false);
        pthread_cond_signal(&log->wake);
        pthread_mutex_unlock(&log->lock);
    }
    return true;
}

static void lose(struct access_log *log, const char *bytes, size_t len)
{
    unsigned long long lines = 0;

    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    atomic_fetch_add(&log->lost, lines);
    log->lost_mid_line = bytes[len - 1] != '\n';
    log->resumes = true;
}

/* The number of bytes written: fewer than `len` only after an error. */
static size_t write_some(struct access_log *log, const char *bytes, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(log->fd, bytes + done, len - done);

        if (n > 0) {
            done += (size_t)n;
            log->file_mid_line = bytes[done - 1] != '\n';
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = log->fd, .events = POLLOUT};

            (void)poll(&ready, 1, -1); /* whatever it says, write is asked again */
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    return done;
}

/* After a loss, goes on at the beginning of a line, on both sides. The number of bytes that are done with. */
static size_t resume(struct access_log *log, const char *bytes, size_t len)
{
    const char *end = log->lost_mid_line ? memchr(bytes, '\n', len) : NULL;
    size_t rest = end != NULL ? (size_t)(end + 1 - bytes) : log->lost_mid_line ? len : 0;

    if (rest != 0)
        lose(log, bytes, rest);
    if (rest == len)
        return len;
    if (log->file_mid_line && write_some(log, "\n", 1) == 0) {
        lose(log, bytes + rest, len - rest);
        return len;
    }
    log->resumes = false;
    return rest;
}

static void write_out(struct access_log *log, const char *bytes, size_t len)
{
    size_t done = log->resumes ? resume(log, bytes, len) : 0;

    done += write_some(log, bytes + done, len - done);
    lose(log, bytes + done, len - done);
}

/* False: nothing was there. */
static bool empty_ring(struct access_log *log, struct log_ring *ring)
{
    size_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    size_t put = atomic_load(&ring->put);

    PRE(put - taken <= RING_BYTES);
    if (put == taken)
        return false;
    while (taken != put) {
        size_t at = taken % RING_BYTES;
        size_t part = RING_BYTES - at < put - taken ? RING_BYTES - at : put - taken;

        write_out(log, ring->bytes + at, part);
        taken += part;
        atomic_store_explicit(&ring->taken, taken, memory_order_release);
    }
    return true;
}

static bool empty_rings(struct access_log *log)
{
    bool any = false;

    for (uint32_t i = 0; i < log->ring_count; i++)
        any |= empty_ring(log, &log->rings[i]);
    return any;
}

static bool has_lines(struct access_log *log)
{
    for (uint32_t i = 0; i < log->ring_count; i++)
        if (atomic_load(&log->rings[i].put) != atomic_load(&log->rings[i].taken))
            return true;
    return false;
}

static void sleep_until_lines(struct access_log *log)
{
    pthread_mutex_lock(&log->lock);
    atomic_store(&log->asleep, true);
    while (atomic_load(&log->asleep) && !has_lines(log) && !atomic_load(&log->stop) &&
           atomic_load(&log->next_fd) < 0)
        pthread_cond_wait(&log->wake, &log->lock);
    atomic_store(&log->asleep, false);
    pthread_mutex_unlock(&log->lock);
}

static void take_turn(struct access_log *log)
{
    int fd = atomic_exchange(&log->next_fd, -1);

    if (fd < 0)
        return;
    access_log_close(log->fd);
    log->fd = fd;
    log->file_mid_line = false;
}

static void *write_lines(void *arg)
{
    struct access_log *log = arg;
    const struct timespec gather = {.tv_nsec = GATHER_NS};

    for (;;) {
        bool last = atomic_load(&log->stop);
        bool any;

        take_turn(log);
        any = empty_rings(log);

        if (last && !any)
            return NULL;
        if (any && !last)
            (void)nanosleep(&gather, NULL); /* shorter does no harm */
        else if (!last)
            sleep_until_lines(log);
    }
}

int access_log_open(const struct log_config *config, char *why, size_t why_cap)
{
    int fd;

    if (config->access == ACCESS_STDOUT)
        return STDOUT_FILENO;
    /* O_NONBLOCK: a FIFO that nobody reads is an error, not a wait without end. */
    fd = open(config->access_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0)
        snprintf(why, why_cap, "log.access: %s: %s", config->access_path, strerror(errno));
    return fd;
}

/* May a file be made there? */
static bool can_make(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : (size_t)(slash - path);

    if (len >= sizeof(directory)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(directory, path, len);
    directory[len] = '\0';
    return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

bool access_log_can_open(const struct log_config *config)
{
    const char *path = config->access_path;
    struct stat info;

    if (path == NULL)
        return true;
    if (stat(path, &info) != 0)
        return errno == ENOENT && can_make(path);
    if (S_ISDIR(info.st_mode) || S_ISSOCK(info.st_mode)) {
        errno = S_ISDIR(info.st_mode) ? EISDIR : ENXIO;
        return false;
    }
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

void access_log_close(int fd)
{
    if (fd != STDOUT_FILENO)
        close(fd);
}

void access_log_turn(struct access_log *log, int fd)
{
    int unused = atomic_exchange(&log->next_fd, fd);

    if (unused >= 0)
        access_log_close(unused);
    pthread_mutex_lock(&log->lock);
    atomic_store(&log->asleep, false);
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
}

static bool make_rings(struct access_log *log, uint32_t count)
{
    log->rings = mem_calloc(count, sizeof(struct log_ring));
    if (log->rings == NULL)
        return false;
    for (; log->ring_count < count; log->ring_count++) {
        struct log_ring *ring = &log->rings[log->ring_count];

        ring->log = log;
        ring->bytes = mem_alloc(RING_BYTES);
        if (ring->bytes == NULL)
            return false;
    }
    return true;
}

static void free_log(struct access_log *log)
{
    for (uint32_t i = 0; i < log->ring_count; i++)
        mem_free(log->rings[i].bytes);
    mem_free(log->rings);
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    mem_free(log);
}

struct access_log *access_log_new(int fd, uint32_t worker_count)
{
    struct access_log *log = mem_zalloc(sizeof(*log));

    if (log == NULL)
        return NULL;
    log->fd = fd;
    atomic_init(&log->next_fd, -1);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->wake, NULL);
    if (make_rings(log, worker_count) && thread_start(&log->thread, write_lines, log) == ST_OK)
        return log;
    free_log(log);
    return NULL;
}

void access_log_free(struct access_log *log)
{
    struct timespec end;

    pthread_mutex_lock(&log->lock);
    atomic_store(&log->stop, true);
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += FAREWELL_S;
    if (pthread_timedjoin_np(log->thread, NULL, &end) != 0) {
        pthread_cancel(log->thread); /* it is in write or poll, which may be cancelled */
        pthread_join(log->thread, NULL);
    }
    take_turn(log);
    access_log_close(log->fd);
    free_log(log);
}

struct log_ring *access_log_ring(struct access_log *log, uint32_t worker)
{
    PRE(worker < log->ring_count);
    return &log->rings[worker];
}

uint64_t access_log_lost(struct access_log *log)
{
    return atomic_load(&log->lost);
}
