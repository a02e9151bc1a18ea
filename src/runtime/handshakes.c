#include "runtime/handshakes.h"

#include "base/invariant.h"

/* With a certificate of RSA 2048 a handshake takes about a millisecond. */
#define HANDSHAKES_A_TURN 4

static void defer(struct handshakes *handshakes)
{
    if (!list_is_empty(&handshakes->waiting) && list_is_alone(&handshakes->turn.node))
        loop_defer(handshakes->loop, &handshakes->turn);
}

static void run_turn(struct mail *mail)
{
    struct handshakes *handshakes = CONTAINER_OF(mail, struct handshakes, turn);
    struct list_node *node;

    for (int i = 0; i < HANDSHAKES_A_TURN && (node = list_take_front(&handshakes->waiting)) != NULL; i++) {
        struct handshake *handshake = CONTAINER_OF(node, struct handshake, node);

        handshake->step(handshake);
    }
    defer(handshakes);
}

void handshakes_init(struct handshakes *handshakes, struct loop *loop)
{
    list_init(&handshakes->waiting);
    mail_init(&handshakes->turn, run_turn);
    handshakes->loop = loop;
}

void handshakes_wait(struct handshakes *handshakes, struct handshake *handshake)
{
    PRE(loop_is_own(handshakes->loop));
    if (!list_is_alone(&handshake->node))
        return;
    list_push_back(&handshakes->waiting, &handshake->node);
    defer(handshakes);
}
