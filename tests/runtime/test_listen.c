/* Listeners beside connections that always have something to say. */
#include "support.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "runtime/listen.h"
#include "runtime/transport.h"

#define BUSY    200
#define CALLERS 600
#define TURNS   100u

struct busy {
    struct transport transport;
    int peer;
};

static struct rig rig;
static unsigned accepted;

static void say(const struct busy *busy)
{
    assert_int_equal(send(busy->peer, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), 1);
}

static void ready(struct transport *transport)
{
    char bytes[16];
    size_t len;

    while (transport_read(transport, bytes, sizeof(bytes), &len) == ST_OK)
        continue;
    say(CONTAINER_OF(transport, struct busy, transport));
    if (rig.loop.turn >= TURNS)
        loop_stop(&rig.loop);
}

static void came(struct acceptor *acceptor, int fd, const struct sockaddr *peer)
{
    (void)acceptor;
    (void)peer;
    accepted++;
    close(fd);
}

/* A turn has room for a part of them only, and for the listener each few turns: then it takes as many as there are. */
static void a_crowd_comes_in_beside_more_connections_than_a_turn_has_room_for(void **state)
{
    static struct busy busy[BUSY];
    static int callers[CALLERS];
    struct acceptor acceptor = {.fd = -1};
    struct sockaddr_in address;
    int listener = bound_socket(SOCK_STREAM | SOCK_NONBLOCK, &address);

    (void)state;
    assert_int_equal(listen(listener, CALLERS), 0);
    rig_init(&rig);
    for (unsigned i = 0; i < BUSY; i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        busy[i].peer = pair[1];
        assert_int_equal(transport_open(&busy[i].transport, &rig.loop, pair[0], ready), ST_OK);
        say(&busy[i]);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(callers[i], (struct sockaddr *)&address, sizeof(address));
    }
    assert_int_equal(acceptor_init(&acceptor, &rig.loop, listener, came), ST_OK);
    acceptor_start(&acceptor);
    rig_run(&rig);
    assert_true(accepted >= TURNS * 64 / (BUSY + 64) * 16 / 2);
    acceptor_stop(&acceptor);
    for (unsigned i = 0; i < BUSY; i++) {
        transport_close(&busy[i].transport);
        close(busy[i].peer);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        close(callers[i]);
    close(listener);
    rig_fini(&rig);
}

#define SPARE 4

struct spares {
    struct acceptor acceptor;
    int fds[SPARE];
    unsigned given_up;
};

static bool give_up_one(struct acceptor *acceptor)
{
    struct spares *spares = CONTAINER_OF(acceptor, struct spares, acceptor);

    if (spares->given_up == SPARE)
        return false;
    close(spares->fds[spares->given_up++]);
    return true;
}

static void one_came(struct acceptor *acceptor, int fd, const struct sockaddr *peer)
{
    (void)acceptor;
    (void)fd; /* it stays, as a connection does */
    (void)peer;
    accepted++;
    loop_stop(&rig.loop);
}

/* Without a descriptor accept4 can't tell that nobody waits: what is given up for nobody is lost for the next. */
static void descriptors_are_given_up_for_those_who_wait_and_no_others(void **state)
{
    struct spares spares = {.given_up = 0};
    struct sockaddr_in address;
    struct rlimit before, now;
    int listener = bound_socket(SOCK_STREAM | SOCK_NONBLOCK, &address), callers[SPARE], last = -1;

    (void)state;
    assert_int_equal(listen(listener, SPARE), 0);
    rig_init(&rig);
    for (unsigned i = 0; i < SPARE; i++) {
        callers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        last = spares.fds[i] = fcntl(listener, F_DUPFD_CLOEXEC, last + 1);
    }
    assert_int_equal(acceptor_init(&spares.acceptor, &rig.loop, listener, one_came), ST_OK);
    spares.acceptor.shortage = give_up_one;
    acceptor_start(&spares.acceptor);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = (struct rlimit){.rlim_cur = (rlim_t)last + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    accepted = 0;
    for (unsigned i = 0; i < SPARE; i++) {
        assert_int_equal(connect(callers[i], (struct sockaddr *)&address, sizeof(address)), 0);
        rig_run(&rig);
        assert_int_equal(accepted, i + 1);
        assert_int_equal(spares.given_up, i + 1);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    acceptor_stop(&spares.acceptor);
    for (unsigned i = 0; i < SPARE; i++) {
        close(callers[i]);
        close(spares.fds[i]); /* of the connection that has its number now */
    }
    close(listener);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_given_up_for_those_who_wait_and_no_others),
        cmocka_unit_test(a_crowd_comes_in_beside_more_connections_than_a_turn_has_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
