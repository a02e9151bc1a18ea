#include "runtime/mailbox.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/invariant.h"

enum status mailbox_init(struct mailbox *mailbox)
{
    mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->event_fd < 0)
        return ST_FAILED;
    if (pthread_mutex_init(&mailbox->lock, NULL) != 0) {
        close(mailbox->event_fd);
        return ST_NOMEM;
    }
    list_init(&mailbox->mails);
    list_init(&mailbox->batch);
    return ST_OK;
}

void mailbox_fini(struct mailbox *mailbox)
{
    PRE(list_is_empty(&mailbox->mails) && list_is_empty(&mailbox->batch)); /* or a mail would be lost */
    close(mailbox->event_fd);
    pthread_mutex_destroy(&mailbox->lock);
}

void mail_init(struct mail *mail, mail_fn fn)
{
    list_init(&mail->node);
    mail->fn = fn;
}

bool mailbox_put(struct mailbox *mailbox, struct mail *mail)
{
    bool first;

    pthread_mutex_lock(&mailbox->lock);
    PRE(mail->fn != NULL && list_is_empty(&mail->node)); /* it is in no mailbox: a mail is posted once */
    first = list_is_empty(&mailbox->mails);
    list_push_back(&mailbox->mails, &mail->node);
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

void mailbox_ring(struct mailbox *mailbox)
{
    uint64_t one = 1;

    /* An eventfd refuses only when its counter is full: never, or it has been ringing for 500 years. */
    if (write(mailbox->event_fd, &one, sizeof(one)) < 0)
        return;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    if (mailbox_put(mailbox, mail))
        mailbox_ring(mailbox);
}

void mailbox_cancel(struct mailbox *mailbox, struct mail *mail)
{
    pthread_mutex_lock(&mailbox->lock);
    list_remove(&mail->node);
    pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_deliver(struct mailbox *mailbox)
{
    struct list_node *node;

    pthread_mutex_lock(&mailbox->lock);
    list_append_all(&mailbox->batch, &mailbox->mails);
    pthread_mutex_unlock(&mailbox->lock);
    while ((node = list_take_front(&mailbox->batch)) != NULL) {
        struct mail *mail = CONTAINER_OF(node, struct mail, node);

        mail->fn(mail);
    }
}
