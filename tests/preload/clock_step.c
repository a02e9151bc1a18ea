/* A library to preload into curfew: while the file that STEP_FILE names is there, the wall clock is an hour ahead. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const char *file = getenv("STEP_FILE");
    int status = (int)syscall(SYS_clock_gettime, clock, now);

    if (status == 0 && clock == CLOCK_REALTIME && file != NULL && access(file, F_OK) == 0)
        now->tv_sec += 3600;
    return status;
}
