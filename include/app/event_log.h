#ifndef CURFEW_APP_EVENT_LOG_H
#define CURFEW_APP_EVENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"

#define EVENT_LOG_LINES 8

/* A line that was written, and may come again. */
struct event_log_line {
    char text[1024];
    enum log_level level;
    uint32_t count;   /* how often it came; 0: there is none */
    int64_t since_ns; /* when its first one was written */
};

/*
 * What happens to the process, a line each on standard error: "curfew: info: ready". If that is the journal, the line
 * begins with its priority instead ("<6>ready"), which the journal takes off. Calls go to the access log. A line that
 * comes again and again within a few seconds, alone or in turn with a few others, is written a few times, and then how
 * often it was left out. Main thread.
 */
struct event_log {
    enum log_level level; /* what is less important is left out */
    struct event_log_line lines[EVENT_LOG_LINES];
};

void event_log_init(struct event_log *log);

void event_log_put(struct event_log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines that are written as they stand, each with its priority if that is the journal. */
void event_log_put_lines(enum log_level level, const char *lines);

/* Says what was left out. */
void event_log_flush(struct event_log *log);

#endif
