#ifndef CURFEW_RUNTIME_INBOX_H
#define CURFEW_RUNTIME_INBOX_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/status.h"
#include "runtime/mailbox.h"

/*
 * A mailbox that a thread with an event loop, but without a loop's turns, delivers as mail comes: the main thread's.
 */
struct inbox {
    struct mailbox mailbox;
    struct event came;
};

enum status inbox_open(struct inbox *inbox, struct event_base *base) MUST_CHECK;
/* Delivers what is there, and closes it. */
void inbox_close(struct inbox *inbox);

#endif
