#ifndef CURFEW_TESTS_RUNTIME_SUPPORT_H
#define CURFEW_TESTS_RUNTIME_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/worker.h"

/* A worker that the test itself turns, until something has happened. */
struct rig {
    struct worker worker;
    struct timer watchdog;
    bool too_late;
};

static inline void rig_is_late(struct timer *timer, int64_t now_ns)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, watchdog);

    rig->too_late = true;
    worker_stop(&rig->worker);
}

static inline void rig_init(struct rig *rig)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(60); /* should a loop not end at all */
    *rig = (struct rig){0};
    assert_int_equal(worker_init(&rig->worker, 0), ST_OK);
    assert_int_equal(timer_init(&rig->worker.timers, &rig->watchdog, rig_is_late), ST_OK);
}

static inline void rig_fini(struct rig *rig)
{
    timer_fini(&rig->worker.timers, &rig->watchdog);
    worker_fini(&rig->worker);
}

/* Turns until somebody calls worker_stop; fails the test after 10 s. */
static inline void rig_run(struct rig *rig)
{
    rig->worker.now_ns = 0;
    timer_set(&rig->worker.timers, &rig->watchdog, worker_now(&rig->worker) + 10 * NS_PER_S);
    assert_int_equal(worker_run(&rig->worker), ST_OK);
    timer_set(&rig->worker.timers, &rig->watchdog, NS_NEVER);
    atomic_store(&rig->worker.stop, false);
    assert_false(rig->too_late);
}

/* A socket bound to 127.0.0.1 at a port that the kernel chooses. */
static inline int bound_socket(int type, struct sockaddr_in *address)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*address);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

/* Descriptors that this process has open. */
static inline int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

#endif
