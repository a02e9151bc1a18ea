/* A library to preload into redis-server: its wall clock is ahead by as many milliseconds as the file STEP_FILE says. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead_ms(void)
{
    const char *file = getenv("STEP_FILE");
    char text[32] = "";
    int fd = file != NULL ? open(file, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    return strtol(text, NULL, 10);
}

static int wall_clock(struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, CLOCK_REALTIME, now);
    long ahead = ahead_ms(), ms = now->tv_nsec / 1000000 + ahead % 1000;

    now->tv_sec += ahead / 1000 + (ms >= 1000) - (ms < 0);
    now->tv_nsec = (ms + 1000) % 1000 * 1000000 + now->tv_nsec % 1000000;
    return status;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    return clock == CLOCK_REALTIME ? wall_clock(now) : (int)syscall(SYS_clock_gettime, clock, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec at;
    int status = wall_clock(&at);

    (void)zone;
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return status;
}
