/*
 * Preloaded into a program under test, this makes its calls to the system fail: the Nth allocation, accept4, send and
 * so on, counted from the moment at which the control file says so. Nothing of it is in the product.
 *
 *   LD_PRELOAD=faults.so CURFEW_FAULTS=FILE curfew …
 *
 * FILE holds a struct control, which the test writes and reads while the program runs.
 *
 * A socket that is said to be not ready although it is, or that gives less than it has, raises no edge by itself. The
 * kernel tells of readiness in such a case; so do we, by arming the descriptor anew.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

/* Bits of control.kinds; tests/integration/harness/faults.py has the same. */
enum kind {
    KIND_ALLOC = 1 << 0,
    KIND_ACCEPT = 1 << 1,
    KIND_SOCKET = 1 << 2,
    KIND_CONNECT = 1 << 3,
    KIND_WATCH = 1 << 4,  /* epoll_ctl, to add */
    KIND_CREATE = 1 << 5, /* epoll_create1, eventfd, timerfd_create */
    KIND_RECEIVE = 1 << 6,
    KIND_SEND = 1 << 7,
    KIND_WRITE = 1 << 8, /* to what is no socket: a log */
};

enum threads { THREADS_ALL, THREADS_MAIN, THREADS_OTHERS };

struct control {
    atomic_ullong armed;
    uint64_t kinds, threads;
    uint64_t from, to; /* of the calls that are counted, the first and the last to fail, from 1 */
    uint64_t period;   /* of those, all but each period-th fail; 0: all */
    uint64_t error;    /* errno of those that fail; 0: none fails */
    uint64_t bytes;    /* those that do not fail move at most so many; 0: no limit */
    uint64_t hangs;    /* those that fail do not return before `armed` is 0 */
    atomic_ullong seen, failed;
};

/* Registrations with epoll, by descriptor. */
#define DESCRIPTORS 65536

struct watched {
    int epoll_fd;
    struct epoll_event event;
};

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static struct control *control;
static struct watched watched[DESCRIPTORS];

/* What this thread does is not the program's, so it does not fail. */
static __thread bool is_spared __attribute__((tls_model("initial-exec")));
static __typeof__(&pthread_getattr_np) next_getattr;

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("CURFEW_FAULTS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *place;

    next_getattr = NEXT(pthread_getattr_np);
    if (fd < 0)
        return;
    place = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (place != MAP_FAILED)
        control = place;
}

/* Is this call one that is meant? Then *fails says whether it is to fail. */
static bool is_meant(enum kind kind, bool *fails)
{
    uint64_t nth;

    *fails = false;
    if (is_spared || control == NULL || atomic_load(&control->armed) == 0 || (control->kinds & kind) == 0)
        return false;
    if (control->threads != THREADS_ALL && (control->threads == THREADS_MAIN) != (gettid() == getpid()))
        return false;
    nth = atomic_fetch_add(&control->seen, 1) + 1;
    *fails = control->error != 0 && nth >= control->from && nth <= control->to &&
             (control->period == 0 || nth % control->period != 0);
    if (*fails) {
        atomic_fetch_add(&control->failed, 1);
        while (control->hangs != 0 && atomic_load(&control->armed) != 0)
            (void)usleep(1000);
        errno = (int)control->error;
    }
    return true;
}

static bool is_to_fail(enum kind kind)
{
    bool fails;

    return is_meant(kind, &fails) && fails;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

/* glibc's own, or AddressSanitizer's where that is linked: dlsym itself allocates, so it can't be asked for them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *block, size_t size) __attribute__((weak));

void *malloc(size_t size)
{
    if (is_to_fail(KIND_ALLOC))
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (is_to_fail(KIND_ALLOC))
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    if (size != 0 && is_to_fail(KIND_ALLOC))
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(block, size) : __libc_realloc(block, size);
}

/* AddressSanitizer, which asks for this when a thread begins, ends the program if there is no memory for it. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    int result;

    is_spared = true;
    result = next_getattr(thread, attributes);
    is_spared = false;
    return result;
}

/* ---- descriptors --------------------------------------------------------------------------------------- */

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return is_to_fail(KIND_ACCEPT) ? -1 : NEXT(accept4)(fd, address, len, flags);
}

int socket(int domain, int type, int protocol)
{
    return is_to_fail(KIND_SOCKET) ? -1 : NEXT(socket)(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return is_to_fail(KIND_CONNECT) ? -1 : NEXT(connect)(fd, address, len);
}

int epoll_create1(int flags)
{
    return is_to_fail(KIND_CREATE) ? -1 : NEXT(epoll_create1)(flags);
}

int eventfd(unsigned count, int flags)
{
    return is_to_fail(KIND_CREATE) ? -1 : NEXT(eventfd)(count, flags);
}

int timerfd_create(int clock, int flags)
{
    return is_to_fail(KIND_CREATE) ? -1 : NEXT(timerfd_create)(clock, flags);
}

int epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event)
{
    if (what == EPOLL_CTL_ADD && is_to_fail(KIND_WATCH))
        return -1;
    if (what != EPOLL_CTL_DEL && fd >= 0 && fd < DESCRIPTORS)
        watched[fd] = (struct watched){epoll_fd, *event};
    return NEXT(epoll_ctl)(epoll_fd, what, fd, event);
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static void arm_anew(int fd)
{
    int error = errno;
    struct watched again;

    if (fd < 0 || fd >= DESCRIPTORS || watched[fd].event.events == 0)
        return;
    again = watched[fd];
    (void)NEXT(epoll_ctl)(again.epoll_fd, EPOLL_CTL_MOD, fd,
                          &again.event); /* not watched any more: as well */
    errno = error;
}

static bool is_socket(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

/* False: the call is to fail. *len becomes what may be moved. */
static bool may_move(enum kind kind, int fd, size_t *len)
{
    bool fails;

    if (!is_meant(kind, &fails))
        return true;
    if (!fails && control->bytes != 0 && *len > control->bytes)
        *len = control->bytes;
    if (fails ? errno == EAGAIN : control->bytes != 0)
        arm_anew(fd);
    return !fails;
}

/* What is left of `pieces` when only `len` bytes may be moved; `most` has room for `count` of them. */
static int shorten(const struct iovec *pieces, int count, size_t len, struct iovec *out)
{
    int kept = 0;

    for (; kept < count && len != 0; kept++) {
        out[kept] = pieces[kept];
        if (out[kept].iov_len > len)
            out[kept].iov_len = len;
        len -= out[kept].iov_len;
    }
    return kept != 0 ? kept : count;
}

#define PIECES 16

static size_t length_of(const struct iovec *pieces, int count)
{
    size_t len = 0;

    for (int i = 0; i < count; i++)
        len += pieces[i].iov_len;
    return len;
}

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    if ((flags & MSG_PEEK) == 0 && !may_move(KIND_RECEIVE, fd, &len))
        return -1;
    return NEXT(recv)(fd, bytes, len, flags);
}

ssize_t read(int fd, void *bytes, size_t len)
{
    if (is_socket(fd) && !may_move(KIND_RECEIVE, fd, &len))
        return -1;
    return NEXT(read)(fd, bytes, len);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    return may_move(KIND_SEND, fd, &len) ? NEXT(send)(fd, bytes, len, flags) : -1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    struct stat info;
    enum kind kind = 0;

    if (fstat(fd, &info) == 0)
        kind = S_ISSOCK(info.st_mode)                            ? KIND_SEND
               : S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode) ? KIND_WRITE
                                                                 : 0;
    if (kind != 0 && fd != STDERR_FILENO && !may_move(kind, fd, &len))
        return -1;
    return NEXT(write)(fd, bytes, len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec pieces[PIECES];
    struct msghdr shorter = *message;
    size_t len = length_of(message->msg_iov, (int)message->msg_iovlen);

    if (!may_move(KIND_SEND, fd, &len))
        return -1;
    if (message->msg_iovlen <= PIECES) {
        shorter.msg_iovlen = (size_t)shorten(message->msg_iov, (int)message->msg_iovlen, len, pieces);
        shorter.msg_iov = pieces;
    }
    return NEXT(sendmsg)(fd, &shorter, flags);
}
