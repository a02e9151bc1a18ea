#include "app/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "app/version.h"
#include "base/text.h"
#include "runtime/journal.h"
#include "runtime/thread.h"

#define FRAMES   64
/* A reader of standard error that has stopped, or a lock that the crash left behind, does not keep the process. */
#define REPORT_S 2

static const int signals[] = {CRASH_SIGNALS};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static atomic_int reporter; /* the thread that reports; 0: none */
static volatile sig_atomic_t crash_signal;

static void die(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}

static void takes_too_long(int number)
{
    (void)number;
    die(crash_signal);
}

/* One frame a line; each line is an entry of its own in the journal. */
static void put_stack(void)
{
    void *frames[FRAMES];
    int count = backtrace(frames, FRAMES);

    for (int i = 0; i < count; i++) {
        if (journal_is_stderr() && write(STDERR_FILENO, JOURNAL_CRITICAL, strlen(JOURNAL_CRITICAL)) < 0)
            return;
        backtrace_symbols_fd(&frames[i], 1, STDERR_FILENO);
    }
}

/* Nothing here allocates or takes a lock, but for the dynamic linker's, in backtrace_symbols_fd. */
static void put_report(int number, const siginfo_t *info, int thread)
{
    char block[256];
    struct text line = text_over(block, sizeof(block));
    const char *name = sigabbrev_np(number);

    text_put(&line, journal_is_stderr() ? SPAN_LIT(JOURNAL_CRITICAL) : SPAN_LIT("curfew: error: "));
    TEXT_LIT(&line, "crash: SIG");
    text_put(&line, span_of(name != NULL ? name : "?"));
    if (info->si_code > 0) {
        TEXT_LIT(&line, " at address 0x");
        text_hex(&line, (uint64_t)(uintptr_t)info->si_addr);
    }
    TEXT_LIT(&line, " in thread ");
    text_u64(&line, (uint64_t)thread);
    TEXT_LIT(&line, ", version ");
    text_put(&line, span_of(curfew_version));
    TEXT_LIT(&line, "; its stack:\n");
    if (write(STDERR_FILENO, line.ptr, line.len) >= 0)
        put_stack();
}

static void crashed(int number, siginfo_t *info, void *context)
{
    int self = gettid(), before = 0;

    (void)context;
    if (!atomic_compare_exchange_strong(&reporter, &before, self)) {
        /* The report itself crashed; or another thread reports, and the process is about to end. */
        if (before == self)
            die(number);
        for (;;)
            pause();
    }
    crash_signal = number;
    signal(SIGALRM, takes_too_long);
    alarm(REPORT_S);
    put_report(number, info, self);
    die(number);
}

static void handle(int number)
{
    struct sigaction before, ours = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigemptyset(&ours.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && (before.sa_flags & SA_SIGINFO) == 0 &&
        before.sa_handler == SIG_DFL)
        (void)sigaction(number, &ours, NULL); /* without it, a crash ends the process all the same */
}

void crash_report_init(void)
{
    void *frame;

    /* The first call loads what it needs, which a crashed process had better not do. */
    (void)backtrace(&frame, 1);
    for (size_t i = 0; i < SIGNALS; i++)
        handle(signals[i]);
}
