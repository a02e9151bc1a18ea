#ifndef CURFEW_APP_CRASH_H
#define CURFEW_APP_CRASH_H

/*
 * A crash (CRASH_SIGNALS; any thread) ends the process, after a report on standard error:
 * the signal, the version, and a backtrace, whose offsets `addr2line -e` understands. The signal is then raised again,
 * so that the exit status and the core dump are those of the crash. Main thread, before there are others.
 *
 * A handler that somebody else has installed, such as a sanitizer's, stays. A stack that has overflown leaves no room
 * for a report: then the kernel ends the process without.
 */
void crash_report_init(void);

#endif
