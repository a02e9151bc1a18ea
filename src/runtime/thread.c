#include "runtime/thread.h"

static const int own[] = {CRASH_SIGNALS};

enum status thread_start(pthread_t *thread, void *(*body)(void *arg), void *arg)
{
    pthread_attr_t attr;
    sigset_t blocked;
    int error;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&blocked, own[i]);
    if (pthread_attr_init(&attr) != 0)
        return ST_NOMEM;
    error = pthread_attr_setsigmask_np(&attr, &blocked);
    if (error == 0)
        error = pthread_create(thread, &attr, body, arg);
    pthread_attr_destroy(&attr);
    return error == 0 ? ST_OK : ST_NOMEM;
}
