#include "runtime/log_error.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/invariant.h"
#include "runtime/journal.h"

#define LINE_BYTES 512

void log_error(const char *format, ...)
{
    const char *prefix = journal_is_stderr() ? JOURNAL_ERROR : "curfew: error: ";
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[LINE_BYTES];
    size_t len = strlen(prefix);
    va_list args;

    memcpy(line, prefix, len);
    va_start(args, format);
    vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    va_end(args);
    len = strlen(line);
    POST(len < sizeof(line));
    line[len++] = '\n';
    /* A pipe that can be written to takes PIPE_BUF bytes, which is more than this. */
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0 && write(STDERR_FILENO, line, len) < 0)
        return;
}
