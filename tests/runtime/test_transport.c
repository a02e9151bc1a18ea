/* Transports without TLS: what is edge-triggered about them, how they end, and who has gone. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "runtime/transport.h"

enum kind { TCP4, TCP6, UNIX };

/* A transport, and the peer's descriptor (blocking) at the other end. */
struct world {
    struct rig rig;
    struct transport transport;
    unsigned events; /* times that on_ready ran */
    int peer;
};

static void something_changed(struct transport *transport)
{
    struct world *world = CONTAINER_OF(transport, struct world, transport);

    world->events++;
    loop_stop(&world->rig.loop);
}

/* A connection over loopback; false if this host has no such addresses. */
static bool tcp_pair(sa_family_t family, int pair[2])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t len = family == AF_INET ? sizeof(address.v4) : sizeof(address.v6);
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0)
        return false;
    memset(&address, 0, sizeof(address));
    if (family == AF_INET)
        address.v4 = (struct sockaddr_in){.sin_family = family, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    else
        address.v6 = (struct sockaddr_in6){.sin6_family = family, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (bind(listener, &address.any, len) < 0) {
        close(listener);
        return false;
    }
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, &address.any, &len), 0);
    pair[1] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[1], &address.any, len), 0);
    pair[0] = accept(listener, NULL, NULL);
    assert_true(pair[0] >= 0);
    close(listener);
    return true;
}

static bool open_pair(enum kind kind, int pair[2])
{
    if (kind != UNIX)
        return tcp_pair(kind == TCP4 ? AF_INET : AF_INET6, pair);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    return true;
}

static void begin_with(struct world *world, enum kind kind,
                       enum status (*open_it)(struct transport *transport, struct loop *loop, int fd,
                                              transport_fn on_ready))
{
    int pair[2];

    world->events = 0;
    if (!open_pair(kind, pair))
        skip();
    world->peer = pair[1];
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(open_it(&world->transport, &world->rig.loop, pair[0], something_changed), ST_OK);
}

static void begin(struct world *world, enum kind kind)
{
    begin_with(world, kind, transport_open);
}

static void end(struct world *world)
{
    transport_close(&world->transport);
    if (world->peer >= 0)
        close(world->peer);
    world->peer = -1;
}

/* One event, within 10 s. */
static void await_event(struct world *world)
{
    unsigned before = world->events;

    rig_run(&world->rig);
    assert_true(world->events > before);
}

/* Whatever has come by now is reported, and nothing is waited for. */
static void take_events(struct world *world)
{
    assert_true(event_base_loop(world->rig.loop.base, EVLOOP_NONBLOCK) >= 0);
    atomic_store(&world->rig.loop.stop, false);
}

/* Until the kernel has this for the transport's socket, whether the loop has been told or not. */
static void await_socket(const struct world *world, short what)
{
    struct pollfd now = {.fd = world->transport.fd, .events = what};
    int64_t end_ns = loop_clock_ns() + 10 * NS_PER_S;

    do {
        assert_true(poll(&now, 1, 10000) >= 0);
    } while ((now.revents & what) != what && loop_clock_ns() < end_ns);
    assert_int_equal(now.revents & what, what);
}

static void say(struct world *world, const char *text)
{
    assert_int_equal(send(world->peer, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void peer_closes(struct world *world)
{
    close(world->peer);
    world->peer = -1;
}

static void peer_resets(struct world *world)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(world->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    peer_closes(world);
}

static void expect_read(struct world *world, enum status want, const char *text, size_t cap)
{
    char bytes[64];
    size_t len = 0;

    assert_int_equal(transport_read(&world->transport, bytes, cap, &len), want);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
}

static int set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof(*world));

    rig_init(&world->rig);
    transport_init(&world->transport);
    world->peer = -1;
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    end(world);
    rig_fini(&world->rig);
    test_free(world);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void a_new_transport_is_tried_first(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    assert_true(transport_is_open(&world->transport));
    assert_true(world->transport.can_read);
    assert_true(world->transport.can_write);
    assert_false(world->transport.peer_ended);
    say(world, "hello");
    await_socket(world, POLLIN);
    expect_read(world, ST_OK, "hello", 64);
}

static void fill(struct world *world, uint64_t *written);

static void an_accepted_one_is_silent_until_its_peer_says_something(void **state)
{
    struct world *world = *state;

    begin_with(world, TCP4, transport_open_accepted);
    take_events(world);
    assert_int_equal(world->events, 0);
    expect_read(world, ST_AGAIN, "", 8);
    say(world, "abc");
    await_event(world);
    expect_read(world, ST_OK, "abc", 8);
    end(world);

    begin_with(world, TCP4, transport_open_accepted);
    say(world, "abc");
    peer_closes(world);
    await_socket(world, POLLRDHUP);
    await_event(world);
    expect_read(world, ST_OK, "abc", 8);
    expect_read(world, ST_EOF, "", 8);
    end(world);
}

/* What came while it was full of what it had to send is heard of, too. */
static void one_that_finds_no_room_misses_nothing_that_came_meanwhile(void **state)
{
    struct world *world = *state;
    uint64_t written = 0;

    begin_with(world, TCP4, transport_open_accepted);
    say(world, "abc");
    await_socket(world, POLLIN);
    fill(world, &written);
    take_events(world);
    expect_read(world, ST_OK, "abc", 8);
    assert_int_equal(shutdown(world->peer, SHUT_WR), 0);
    await_socket(world, POLLRDHUP);
    take_events(world);
    assert_true(world->transport.peer_ended);
    end(world);
}

static void unsent_bytes_are_bounded_once_that_is_asked_for(void **state)
{
    struct world *world = *state;
    int unsent = -1;
    socklen_t len = sizeof(unsent);

    begin(world, TCP4);
    for (int i = 0; i < 2; i++)
        transport_bound_unsent(&world->transport);
    assert_int_equal(getsockopt(world->transport.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, &len), 0);
    assert_int_equal(unsent, TRANSPORT_UNSENT_MAX);
    end(world);
    begin(world, UNIX);
    transport_bound_unsent(&world->transport);
    end(world);
}

static void after_again_nothing_is_read_until_an_event_says_so(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    expect_read(world, ST_AGAIN, "", 64);
    assert_false(world->transport.can_read);
    take_events(world); /* writable */
    say(world, "hello");
    await_socket(world, POLLIN);
    expect_read(world, ST_AGAIN, "", 64);
    await_event(world);
    assert_true(world->transport.can_read);
    expect_read(world, ST_OK, "hello", 64);
}

static void a_full_read_may_have_left_something(void **state)
{
    struct world *world = *state;

    begin(world, UNIX);
    say(world, "abcdef");
    expect_read(world, ST_OK, "abc", 3);
    assert_true(world->transport.can_read);
    expect_read(world, ST_OK, "def", 3);
    assert_true(world->transport.can_read);
    expect_read(world, ST_AGAIN, "", 3);
    assert_false(world->transport.can_read);
}

static void a_short_read_has_emptied_the_socket_and_the_next_byte_raises_an_event(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    take_events(world);
    say(world, "one");
    await_event(world);
    expect_read(world, ST_OK, "one", 64);
    assert_false(world->transport.can_read);
    say(world, "two");
    await_event(world);
    expect_read(world, ST_OK, "two", 64);
    assert_false(world->transport.can_read);
}

/* One event tells of both. */
static void a_reset_behind_the_bytes_of_a_short_read_is_found_in_the_same_turn(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    say(world, "half");
    peer_resets(world);
    await_socket(world, POLLERR);
    await_event(world);
    expect_read(world, ST_OK, "half", 64);
    assert_true(transport_may_read(&world->transport));
    expect_read(world, ST_FAILED, "", 64);
}

static void in_the_next_turn_a_short_read_is_believed(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    take_events(world);
    say(world, "whole");
    await_event(world);
    expect_read(world, ST_OK, "whole", 64);
    expect_read(world, ST_AGAIN, "", 64);
    assert_false(transport_may_read(&world->transport));
    say(world, "more");
    await_event(world);
    expect_read(world, ST_OK, "more", 64);
    world->rig.loop.turn++;
    assert_false(transport_may_read(&world->transport));
}

static void events_that_are_not_acted_upon_are_not_repeated(void **state)
{
    struct world *world = *state;
    unsigned events;

    begin(world, UNIX);
    say(world, "hello");
    take_events(world);
    events = world->events;
    assert_true(events > 0);
    for (int i = 0; i < 3; i++)
        take_events(world);
    assert_int_equal(world->events, events);
    expect_read(world, ST_OK, "hello", 64);
}

/* ---- ends ---------------------------------------------------------------------------------------------- */

static void an_end_behind_a_short_read_is_seen_without_another_event(void **state)
{
    static const enum kind kinds[] = {TCP4, UNIX};
    struct world *world = *state;

    for (int i = 0; i < 2; i++) {
        begin(world, kinds[i]);
        take_events(world);
        say(world, "last");
        peer_closes(world);
        await_socket(world, POLLIN | POLLRDHUP);
        await_event(world);
        assert_true(world->transport.peer_ended);
        expect_read(world, ST_OK, "last", 64);
        expect_read(world, ST_EOF, "", 64);
        end(world);
    }
}

static void an_end_that_comes_later_raises_an_event(void **state)
{
    static const enum kind kinds[] = {TCP4, UNIX};
    struct world *world = *state;

    for (int i = 0; i < 2; i++) {
        begin(world, kinds[i]);
        take_events(world);
        say(world, "last");
        await_event(world);
        expect_read(world, ST_OK, "last", 64);
        assert_int_equal(shutdown(world->peer, SHUT_WR), 0);
        await_event(world);
        assert_true(world->transport.peer_ended);
        expect_read(world, ST_EOF, "", 64);
        end(world);
    }
}

/* The bytes and the end are there before the loop has looked at the socket at all. */
static void an_end_before_the_first_event_is_not_missed(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    say(world, "last");
    peer_closes(world);
    await_socket(world, POLLIN | POLLRDHUP);
    expect_read(world, ST_OK, "last", 64);
    await_event(world);
    assert_true(world->transport.peer_ended);
    expect_read(world, ST_EOF, "", 64);
}

static void a_half_closed_peer_can_still_be_written_to(void **state)
{
    struct world *world = *state;
    struct iovec piece = {(char[]){"answer"}, 6};
    char bytes[16];
    size_t len;

    begin(world, TCP4);
    assert_int_equal(shutdown(world->peer, SHUT_WR), 0);
    await_socket(world, POLLRDHUP);
    take_events(world);
    expect_read(world, ST_EOF, "", 64);
    assert_int_equal(transport_write(&world->transport, &piece, 1, &len), ST_OK);
    assert_int_equal(recv(world->peer, bytes, sizeof(bytes), 0), 6);
}

static void a_reset_is_a_failure_and_not_an_end(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    take_events(world);
    expect_read(world, ST_AGAIN, "", 64);
    peer_resets(world);
    await_event(world);
    expect_read(world, ST_FAILED, "", 64);
}

/* It came along with the bytes, so its event was theirs: whoever waits for more has to ask once again. */
static void a_reset_behind_a_short_read_is_there_for_who_asks(void **state)
{
    struct world *world = *state;

    begin(world, TCP4);
    take_events(world);
    say(world, "part");
    peer_resets(world);
    await_socket(world, POLLHUP);
    await_event(world);
    expect_read(world, ST_OK, "part", 64);
    world->transport.can_read = true;
    expect_read(world, ST_FAILED, "", 64);
}

/* The kernel tells of it once, to whoever asks first. */
static void a_reset_that_a_write_has_heard_of_is_no_end_for_a_read(void **state)
{
    struct world *world = *state;
    struct iovec piece = {(char[]){"x"}, 1};
    size_t len;

    begin(world, TCP4);
    peer_resets(world);
    await_socket(world, POLLHUP);
    assert_int_equal(transport_write(&world->transport, &piece, 1, &len), ST_FAILED);
    expect_read(world, ST_FAILED, "", 64);
}

static void an_end_before_a_reset_is_an_end_though_a_write_has_failed(void **state)
{
    struct world *world = *state;
    struct iovec piece = {(char[]){"x"}, 1};
    size_t len;

    begin(world, TCP4);
    assert_int_equal(shutdown(world->peer, SHUT_WR), 0);
    await_socket(world, POLLRDHUP);
    peer_resets(world);
    await_socket(world, POLLHUP);
    assert_int_equal(transport_write(&world->transport, &piece, 1, &len), ST_FAILED);
    expect_read(world, ST_EOF, "", 64);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static void pieces_are_written_as_one(void **state)
{
    struct world *world = *state;
    struct iovec pieces[8];
    char letters[] = "abcdefgh", bytes[16];
    size_t len;

    begin(world, UNIX);
    for (int i = 0; i < 8; i++)
        pieces[i] = (struct iovec){&letters[i], 1};
    assert_int_equal(transport_write(&world->transport, pieces, 8, &len), ST_OK);
    assert_int_equal(len, 8);
    assert_int_equal(recv(world->peer, bytes, sizeof(bytes), 0), 8);
    assert_memory_equal(bytes, letters, 8);
}

static void fill(struct world *world, uint64_t *written)
{
    static char zeros[65536];
    struct iovec piece = {zeros, sizeof(zeros)};
    enum status status;
    size_t len;

    while ((status = transport_write(&world->transport, &piece, 1, &len)) == ST_OK)
        *written += len;
    assert_int_equal(status, ST_AGAIN);
    assert_false(world->transport.can_write);
}

static uint64_t drain(struct world *world)
{
    static char bytes[65536];
    uint64_t all = 0;
    ssize_t n;

    while ((n = recv(world->peer, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        all += (uint64_t)n;
    return all;
}

static void a_full_socket_takes_more_after_an_event_and_loses_nothing(void **state)
{
    static const enum kind kinds[] = {TCP4, UNIX};
    struct world *world = *state;

    for (int i = 0; i < 4; i++) {
        uint64_t written = 0, read = 0;

        begin_with(world, kinds[i / 2], i % 2 == 0 ? transport_open : transport_open_accepted);
        take_events(world);
        for (int round = 0; round < 3; round++) {
            fill(world, &written);
            while (!world->transport.can_write) {
                read += drain(world);
                take_events(world);
            }
        }
        transport_close(&world->transport);
        for (struct pollfd more = {.fd = world->peer, .events = POLLIN}; read < written;) {
            assert_int_equal(poll(&more, 1, 10000), 1);
            read += drain(world);
        }
        assert_int_equal(read, written);
        end(world);
    }
}

static void writing_to_a_peer_that_has_gone_fails_and_kills_nobody(void **state)
{
    struct world *world = *state;
    struct iovec piece = {(char[]){"x"}, 1};
    size_t len;

    signal(SIGPIPE, SIG_DFL);
    begin(world, UNIX);
    peer_closes(world);
    assert_int_equal(transport_write(&world->transport, &piece, 1, &len), ST_FAILED);
    end(world);
    begin(world, TCP4);
    peer_resets(world);
    await_socket(world, POLLHUP);
    assert_int_equal(transport_write(&world->transport, &piece, 1, &len), ST_FAILED);
}

/* ---- closing ------------------------------------------------------------------------------------------- */

static void ending_our_side_leaves_the_other_open(void **state)
{
    struct world *world = *state;
    char byte;

    begin(world, TCP4);
    transport_end_write(&world->transport);
    assert_int_equal(recv(world->peer, &byte, 1, 0), 0);
    say(world, "still here");
    await_socket(world, POLLIN);
    expect_read(world, ST_OK, "still here", 64);
}

static void a_close_is_an_end_for_the_peer_and_happens_once(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    char byte;

    begin(world, TCP4);
    transport_close(&world->transport);
    assert_false(transport_is_open(&world->transport));
    assert_int_equal(recv(world->peer, &byte, 1, 0), 0);
    transport_close(&world->transport);
    transport_reset(&world->transport);
    assert_int_equal(open_descriptors(), before + 1);
}

static void a_reset_is_no_end_for_the_peer(void **state)
{
    struct world *world = *state;
    char byte;

    begin(world, TCP4);
    transport_reset(&world->transport);
    assert_false(transport_is_open(&world->transport));
    assert_int_equal(recv(world->peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void a_closed_transport_raises_no_event(void **state)
{
    struct world *world = *state;

    begin(world, UNIX);
    say(world, "hello");
    transport_close(&world->transport);
    take_events(world);
    assert_int_equal(world->events, 0);
}

/* ---- who has gone -------------------------------------------------------------------------------------- */

/* The peer is here, then it ends its side, then it does `leave`. */
static void check_gone(struct world *world, enum kind kind, void (*leave)(struct world *world))
{
    begin(world, kind);
    assert_false(transport_peer_is_gone(&world->transport));
    say(world, "not yet");
    await_socket(world, POLLIN);
    assert_false(transport_peer_is_gone(&world->transport));
    expect_read(world, ST_OK, "not yet", 64);
    leave(world);
    await_socket(world, POLLRDHUP);
    assert_true(transport_peer_is_gone(&world->transport));
    end(world);
}

static void ends_its_side(struct world *world)
{
    assert_int_equal(shutdown(world->peer, SHUT_WR), 0);
    await_socket(world, POLLRDHUP);
    assert_false(transport_peer_is_gone(&world->transport));
    peer_closes(world);
}

/* Another process may hold the same end: it is still there. */
static void closes_one_of_two_handles(struct world *world)
{
    int other = dup(world->peer);

    assert_true(other >= 0);
    assert_int_equal(shutdown(world->peer, SHUT_WR), 0);
    peer_closes(world);
    await_socket(world, POLLRDHUP);
    assert_false(transport_peer_is_gone(&world->transport));
    close(other);
}

static void leaves_with_bytes_unread(struct world *world)
{
    struct iovec piece = {(char[]){"unread"}, 6};
    struct pollfd there = {.fd = world->peer, .events = POLLIN};
    size_t len;

    assert_int_equal(transport_write(&world->transport, &piece, 1, &len), ST_OK);
    assert_int_equal(poll(&there, 1, 10000), 1);
    peer_closes(world);
}

static void check_all_ways_to_go(struct world *world, enum kind kind)
{
    check_gone(world, kind, peer_closes);
    check_gone(world, kind, ends_its_side);
    check_gone(world, kind, closes_one_of_two_handles);
    check_gone(world, kind, leaves_with_bytes_unread);
    if (kind != UNIX)
        check_gone(world, kind, peer_resets);
}

static void a_tcp_peer_is_gone_when_nobody_holds_its_end(void **state)
{
    check_all_ways_to_go(*state, TCP4);
}

static void a_tcp_peer_by_ipv6_is_gone_when_nobody_holds_its_end(void **state)
{
    check_all_ways_to_go(*state, TCP6);
}

static void a_unix_peer_is_gone_when_nobody_holds_its_end(void **state)
{
    check_all_ways_to_go(*state, UNIX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_transport_is_tried_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_accepted_one_is_silent_until_its_peer_says_something, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_finds_no_room_misses_nothing_that_came_meanwhile, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(unsent_bytes_are_bounded_once_that_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_again_nothing_is_read_until_an_event_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_read_may_have_left_something, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_read_has_emptied_the_socket_and_the_next_byte_raises_an_event,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_behind_the_bytes_of_a_short_read_is_found_in_the_same_turn,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_the_next_turn_a_short_read_is_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_that_are_not_acted_upon_are_not_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_behind_a_short_read_is_seen_without_another_event, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_end_that_comes_later_raises_an_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_before_the_first_event_is_not_missed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_half_closed_peer_can_still_be_written_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_is_a_failure_and_not_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_behind_a_short_read_is_there_for_who_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_that_a_write_has_heard_of_is_no_end_for_a_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_end_before_a_reset_is_an_end_though_a_write_has_failed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pieces_are_written_as_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_socket_takes_more_after_an_event_and_loses_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(writing_to_a_peer_that_has_gone_fails_and_kills_nobody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ending_our_side_leaves_the_other_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_close_is_an_end_for_the_peer_and_happens_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_is_no_end_for_the_peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_transport_raises_no_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tcp_peer_is_gone_when_nobody_holds_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tcp_peer_by_ipv6_is_gone_when_nobody_holds_its_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_unix_peer_is_gone_when_nobody_holds_its_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
