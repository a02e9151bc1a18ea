#include "app/event_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/journal.h"
#include "runtime/worker.h"

/* So many lines of the same words are written within so long a time. */
#define LINES_MAX 3
#define WINDOW_NS (10 * NS_PER_S)

static const struct level {
    const char *name;
    const char *priority;
} levels[] = {
    [LOG_ERROR] = {"error", JOURNAL_ERROR},
    [LOG_WARN] = {"warn", JOURNAL_WARNING},
    [LOG_INFO] = {"info", JOURNAL_INFO},
    [LOG_DEBUG] = {"debug", JOURNAL_DEBUG},
};

void event_log_init(struct event_log *log)
{
    *log = (struct event_log){.level = LOG_INFO};
}

static void write_line(enum log_level level, const char *line)
{
    if (journal_is_stderr())
        fprintf(stderr, "%s%s\n", levels[level].priority, line);
    else
        fprintf(stderr, "curfew: %s: %s\n", levels[level].name, line);
}

void event_log_put_lines(enum log_level level, const char *lines)
{
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");

        if (journal_is_stderr())
            fprintf(stderr, "%s%.*s\n", levels[level].priority, (int)len, lines);
        else
            fprintf(stderr, "%.*s\n", (int)len, lines);
        lines += len + (lines[len] != '\0');
    }
}

void event_log_flush(struct event_log *log)
{
    char line[64];

    if (log->repeated > LINES_MAX) {
        snprintf(line, sizeof(line), "the line before came %u times more", log->repeated - LINES_MAX);
        write_line(log->last_level, line);
    }
    log->repeated = 0;
    log->last[0] = '\0';
}

void event_log_put(struct event_log *log, enum log_level level, const char *format, ...)
{
    int64_t now_ns = worker_clock_ns();
    char line[sizeof(log->last)];
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (strcmp(line, log->last) != 0 || now_ns - log->since_ns > WINDOW_NS) {
        event_log_flush(log);
        memcpy(log->last, line, sizeof(line));
        log->last_level = level;
        log->since_ns = now_ns;
    }
    if (++log->repeated <= LINES_MAX)
        write_line(level, line);
}
