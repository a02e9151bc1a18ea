#include "runtime/inbox.h"

static void mail_came(evutil_socket_t fd, short what, void *arg)
{
    struct inbox *inbox = arg;

    (void)fd;
    (void)what;
    mailbox_deliver(&inbox->mailbox);
}

enum status inbox_open(struct inbox *inbox, struct event_base *base)
{
    if (mailbox_init(&inbox->mailbox) != ST_OK)
        return ST_NOMEM;
    /* Edge-triggered: the bell is never read, each ring wakes. */
    if (event_assign(&inbox->came, base, inbox->mailbox.event_fd, EV_READ | EV_ET | EV_PERSIST, mail_came,
                     inbox) == 0 &&
        event_add(&inbox->came, NULL) == 0)
        return ST_OK;
    mailbox_fini(&inbox->mailbox);
    return ST_NOMEM;
}

void inbox_close(struct inbox *inbox)
{
    mailbox_deliver(&inbox->mailbox);
    event_del(&inbox->came);
    mailbox_fini(&inbox->mailbox);
}
