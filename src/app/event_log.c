#include "app/event_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/journal.h"
#include "runtime/loop.h"

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

/* Says how often it was left out, and forgets it. */
static void forget(struct event_log_line *line)
{
    char text[sizeof(line->text) + 32];

    if (line->count > LINES_MAX) {
        snprintf(text, sizeof(text), "%s (%" PRIu32 " times more)", line->text, line->count - LINES_MAX);
        write_line(line->level, text);
    }
    line->count = 0;
}

void event_log_flush(struct event_log *log)
{
    for (size_t i = 0; i < EVENT_LOG_LINES; i++)
        forget(&log->lines[i]);
}

static void forget_old_ones(struct event_log *log, int64_t now_ns)
{
    for (size_t i = 0; i < EVENT_LOG_LINES; i++)
        if (now_ns - log->lines[i].since_ns > WINDOW_NS)
            forget(&log->lines[i]);
}

/* The same line, or the place of the one that has been there for longest. */
static struct event_log_line *find(struct event_log *log, const char *text)
{
    struct event_log_line *oldest = &log->lines[0];

    for (size_t i = 0; i < EVENT_LOG_LINES; i++) {
        struct event_log_line *line = &log->lines[i];

        if (line->count != 0 && strcmp(line->text, text) == 0)
            return line;
        if (oldest->count != 0 && (line->count == 0 || line->since_ns < oldest->since_ns))
            oldest = line;
    }
    forget(oldest);
    return oldest;
}

void event_log_put(struct event_log *log, enum log_level level, const char *format, ...)
{
    int64_t now_ns = loop_clock_ns();
    struct event_log_line *line;
    char text[sizeof(line->text)];
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    forget_old_ones(log, now_ns);
    line = find(log, text);
    if (line->count == 0) {
        memcpy(line->text, text, sizeof(text));
        line->level = level;
        line->since_ns = now_ns;
    }
    if (++line->count <= LINES_MAX)
        write_line(level, text);
}
