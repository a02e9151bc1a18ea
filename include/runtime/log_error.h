#ifndef CURFEW_RUNTIME_LOG_ERROR_H
#define CURFEW_RUNTIME_LOG_ERROR_H

/*
 * A line on standard error about something that is curfew's own fault: "curfew: error: …", or with its priority for
 * the journal. Never waits: if who reads it has stopped reading, the line is dropped. A long one is cut. Any thread.
 */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Likewise about what the configuration can't have meant: "curfew: warning: …". */
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
