#ifndef CURFEW_TESTS_FUZZ_PEER_H
#define CURFEW_TESTS_FUZZ_PEER_H

/* In place of runtime's sockets and loop: a peer that has sent the input, and a loop that turns only when the target does it. */
#include <string.h>

#include "fuzz.h"
#include "runtime/loop.h"
#include "runtime/transport.h"

static struct input peer;
static uint8_t pace; /* how many bytes come at once; 0, and some others: all */
static struct loop loop;

enum status transport_read(struct transport *transport, void *bytes, size_t cap, size_t *len)
{
    size_t most = pace % 7 == 0 ? cap : pace;

    (void)transport;
    if (peer.left == 0)
        return ST_EOF;
    *len = peer.left < most ? peer.left : most;
    *len = *len < cap ? *len : cap;
    memcpy(bytes, peer.at, *len);
    peer.at += *len;
    peer.left -= *len;
    return ST_OK;
}

int64_t loop_now(struct loop *of)
{
    (void)of;
    return 1;
}

void loop_defer(struct loop *of, struct mail *mail)
{
    list_push_back(&of->deferred, &mail->node);
}

void loop_undefer(struct mail *mail)
{
    list_remove(&mail->node);
}

void loop_free_later(struct loop *of, struct deferred_free *deferred_free,
                     void (*free_fn)(struct deferred_free *deferred_free))
{
    deferred_free->free_fn = free_fn;
    list_push_back(&of->free_later, &deferred_free->node);
}

void mail_init(struct mail *mail, mail_fn fn)
{
    list_init(&mail->node);
    mail->fn = fn;
}

#endif
