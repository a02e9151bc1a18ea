#include "runtime/log_error.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/invariant.h"
#include "runtime/journal.h"

#define LINE_BYTES 512

static void put(const char *prefix, const char *format, va_list args)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[LINE_BYTES];
    size_t len = strlen(prefix);

    memcpy(line, prefix, len);
    vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    len = strlen(line);
    POST(len < sizeof(line));
    line[len++] = '\n';
    /* A pipe that can be written to takes PIPE_BUF bytes, which is more than this. */
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0 && write(STDERR_FILENO, line, len) < 0)
        return;
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put(journal_is_stderr() ? JOURNAL_ERROR : "curfew: error: ", format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put(journal_is_stderr() ? JOURNAL_WARNING : "curfew: warning: ", format, args);
    va_end(args);
}
