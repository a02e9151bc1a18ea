/*
 * A library to preload into curfew in tests of the watchdog: while the file that HANG_FILE names is there, a thread
 * that comes to epoll_wait and is not the main thread stays in it; FILE.held says that one does. Others go on.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void hold(const char *file)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    char note[4096];

    snprintf(note, sizeof(note), "%s.held", file);
    close(open(note, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (access(file, F_OK) == 0)
        nanosleep(&moment, NULL);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    static atomic_flag held = ATOMIC_FLAG_INIT;
    const char *file = getenv("HANG_FILE");

    if (file != NULL && syscall(SYS_gettid) != getpid() && access(file, F_OK) == 0 &&
        !atomic_flag_test_and_set(&held))
        hold(file);
    return (int)syscall(SYS_epoll_pwait, fd, events, count, timeout, NULL, 0);
}
