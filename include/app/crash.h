#ifndef CURFEW_APP_CRASH_H
#define CURFEW_APP_CRASH_H

#include <signal.h>

/*
 * A crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT; any thread) ends the process, after a report on standard error:
 * the signal, the version, and a backtrace, whose offsets `addr2line -e` understands. The signal is then raised again,
 * so that the exit status and the core dump are those of the crash. Main thread, before there are others.
 *
 * A handler that somebody else has installed, such as a sanitizer's, stays. A stack that has overflown leaves no room
 * for a report: then the kernel ends the process without.
 */
void crash_report_init(void);

/* Takes these signals out of a set that is to be blocked: a crash whose signal is blocked leaves no report. */
void crash_leave_unblocked(sigset_t *set);

#endif
