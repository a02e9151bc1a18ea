#ifndef CURFEW_RUNTIME_MAILBOX_H
#define CURFEW_RUNTIME_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/status.h"

/*
 * How a thread tells another one something: mails are intrusive, so posting allocates nothing and can't fail. The
 * owner waits on `event_fd` (edge-triggered, never read), which is rung once for any number of mails.
 */
struct mail;
typedef void (*mail_fn)(struct mail *mail);

struct mail {
    struct list_node node;
    mail_fn fn; /* runs on the thread that owns the mailbox */
};

struct mailbox {
    pthread_mutex_t lock;
    struct list_node mails; /* under lock */
    struct list_node batch; /* the owner's: taken out, not yet delivered */
    int event_fd;
};

enum status mailbox_init(struct mailbox *mailbox) MUST_CHECK;
void mailbox_fini(struct mailbox *mailbox);

void mail_init(struct mail *mail, mail_fn fn);

/* Any thread. The mail is not in a mailbox now, and lives until its function has run or mailbox_cancel returned. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/*
 * The two halves of mailbox_post, for who holds a lock and wants to ring after it: true asks for the ring, without
 * which the owner may not look.
 */
bool mailbox_put(struct mailbox *mailbox, struct mail *mail) __attribute__((warn_unused_result));
void mailbox_ring(struct mailbox *mailbox);

/* Owner's thread: takes a mail back if it is still on its way; its function will not run. */
void mailbox_cancel(struct mailbox *mailbox, struct mail *mail);

/* Owner's thread: runs the functions of all mails that have come so far, in order. */
void mailbox_deliver(struct mailbox *mailbox);

#endif
