#include "app/event_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/worker.h"

/* So many lines of the same words are written within so long a time. */
#define LINES_MAX 3
#define WINDOW_NS (10 * NS_PER_S)

static const struct level {
    const char *name;
    int priority; /* syslog(3) */
} levels[] = {
    [LOG_ERROR] = {"error", 3},
    [LOG_WARN] = {"warn", 4},
    [LOG_INFO] = {"info", 6},
    [LOG_DEBUG] = {"debug", 7},
};

static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat info;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

void event_log_init(struct event_log *log)
{
    *log = (struct event_log){.level = LOG_INFO, .is_journal = stderr_is_journal()};
}

static void write_line(const struct event_log *log, enum log_level level, const char *line)
{
    if (log->is_journal)
        fprintf(stderr, "<%d>%s\n", levels[level].priority, line);
    else
        fprintf(stderr, "curfew: %s: %s\n", levels[level].name, line);
}

void event_log_put_lines(const struct event_log *log, enum log_level level, const char *lines)
{
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");

        if (log->is_journal)
            fprintf(stderr, "<%d>%.*s\n", levels[level].priority, (int)len, lines);
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
        write_line(log, log->last_level, line);
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
        write_line(log, level, line);
}
