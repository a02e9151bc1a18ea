#ifndef CURFEW_APP_EVENT_LOG_H
#define CURFEW_APP_EVENT_LOG_H

#include "config/snapshot.h"

/* What happens to the process, a line each on standard error: "curfew: info: ready". Calls go to the access log. */
struct event_log {
    enum log_level level; /* what is less important is left out */
};

void event_log_put(const struct event_log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
