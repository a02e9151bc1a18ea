#include "app/event_log.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void event_log_put(const struct event_log *log, enum log_level level, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "curfew: %s: %s\n", level_names[level], line);
}
