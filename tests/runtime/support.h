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

#include "runtime/loop.h"

/* A loop that the test itself turns, until something has happened. */
struct rig {
    struct loop loop;
    struct timer watchdog;
    bool too_late;
};

static inline void rig_is_late(struct timer *timer, int64_t now_ns)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, watchdog);

    rig->too_late = true;
    loop_stop(&rig->loop);
}

static inline void rig_init(struct rig *rig)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(60); /* should a loop not end at all */
    *rig = (struct rig){0};
    assert_int_equal(loop_init(&rig->loop, 0), ST_OK);
    assert_int_equal(timer_init(&rig->loop.timers, &rig->watchdog, rig_is_late), ST_OK);
}

static inline void rig_fini(struct rig *rig)
{
    timer_fini(&rig->loop.timers, &rig->watchdog);
    loop_fini(&rig->loop);
}

/* Turns until somebody calls loop_stop; fails the test after 10 s. */
static inline void rig_run(struct rig *rig)
{
    rig->loop.now_ns = 0;
    timer_set(&rig->loop.timers, &rig->watchdog, loop_now(&rig->loop) + 10 * NS_PER_S);
    assert_int_equal(loop_run(&rig->loop), ST_OK);
    timer_set(&rig->loop.timers, &rig->watchdog, NS_NEVER);
    atomic_store(&rig->loop.stop, false);
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
