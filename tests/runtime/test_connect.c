#include "certificates.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "runtime/connect.h"

/*
 * The addresses of a name are put under test by a name server on the loop that answers every question for A
 * with the same list. 127.0.0.0/8 is all loopback: an address at which nobody listens refuses, and one whose
 * listener's packets a filter drops says nothing at all.
 */

#define HOST "upstream.test"

struct world {
    struct rig rig;
    struct resolver *resolver;
    struct address_book book;
    struct origin origin;
    struct transport transport;
    struct connect connect;
    int64_t began_ns;

    int dns_fd;
    struct event dns_event;
    const char *addresses[8]; /* none: the name server is silent */

    int listener;
    int others[4]; /* listeners at further addresses, with the port of the first */
    int other_count;

    char phases[16]; /* a letter for each that was entered */
    unsigned done;
    union dns_address peer;
    enum cause cause;
    char detail[160];
};

static struct pki pki;

static struct world *world_of(struct connect *connect)
{
    return CONTAINER_OF(connect, struct world, connect);
}

static void phase_entered(struct connect *connect, enum phase phase)
{
    struct world *world = world_of(connect);
    size_t len = strlen(world->phases);

    assert_true(len + 1 < sizeof(world->phases));
    world->phases[len] = phase == PHASE_DNS ? 'd' : phase == PHASE_CONNECT ? 'c' : 't';
}

static void resolved(struct connect *connect, enum dns_result result)
{
    (void)connect;
    (void)result;
}

static void ended(struct connect *connect, enum cause cause, const char *detail)
{
    struct world *world = world_of(connect);

    world->done++;
    world->cause = cause;
    world->peer = connect->peer;
    snprintf(world->detail, sizeof(world->detail), "%s", detail);
    memset(connect, 0xff, sizeof(*connect)); /* nobody touches it any more */
    connect->active = false;
    loop_stop(&world->rig.loop);
}

static const struct connect_events events = {phase_entered, resolved, ended};

static void question_came(evutil_socket_t fd, short what, void *arg)
{
    struct world *world = arg;
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t message[512];
    ssize_t len = recvfrom(fd, message, 256, 0, (struct sockaddr *)&from, &from_len);
    bool for_ipv4;

    assert_true(len > 16);
    for_ipv4 = message[len - 3] == 1;
    if (world->addresses[0] == NULL)
        return;
    message[2] = 0x85;
    message[3] = 0x80;
    for (int i = 0; for_ipv4 && i < 8 && world->addresses[i] != NULL; i++) {
        memcpy(message + len, "\xc0\x0c\0\1\0\1\0\0\1\0\0\4", 12);
        inet_pton(AF_INET, world->addresses[i], message + len + 12);
        len += 16;
        message[7] = (uint8_t)(i + 1);
    }
    assert_int_equal(sendto(fd, message, (size_t)len, 0, (struct sockaddr *)&from, from_len), len);
}

static void start_name_server(struct world *world)
{
    struct sockaddr_in address;
    char text[32];

    world->dns_fd = bound_socket(SOCK_DGRAM, &address);
    event_assign(&world->dns_event, world->rig.loop.base, world->dns_fd, EV_READ | EV_PERSIST, question_came,
                 world);
    event_add(&world->dns_event, NULL);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(resolver_set_servers(world->resolver, text), ST_OK);
}

static int set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof(*world));
    struct sockaddr_in address;

    rig_init(&world->rig);
    world->resolver = resolver_new(&world->rig.loop);
    assert_non_null(world->resolver);
    start_name_server(world);
    transport_init(&world->transport);
    world->listener = bound_socket(SOCK_STREAM, &address);
    assert_int_equal(listen(world->listener, 16), 0);
    world->origin = (struct origin){
        .host = HOST,
        .port = ntohs(address.sin_port),
        .dns = {80, 3600 * NS_PER_S, 300 * NS_PER_S, NS_PER_S},
        .stagger_ns = 250 * NS_PER_MS,
        .remember_ns = 600 * NS_PER_S,
    };
    address_book_init(&world->book);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    connect_cancel(&world->connect);
    transport_close(&world->transport);
    resolver_free(world->resolver);
    address_book_fini(&world->book);
    event_del(&world->dns_event);
    close(world->dns_fd);
    close(world->listener);
    for (int i = 0; i < world->other_count; i++)
        close(world->others[i]);
    rig_fini(&world->rig);
    test_free(world);
    return 0;
}

/* One more listener, at this address. */
static int listen_at(struct world *world, const char *ip)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(world->origin.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, ip, &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    world->others[world->other_count++] = fd;
    return fd;
}

/* At this address nothing answers: the kernel drops what comes. */
static void swallow_at(struct world *world, const char *ip)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop};
    int fd = listen_at(world, ip);

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static void start(struct world *world, struct tls_client *tls, int64_t limit_in_ns)
{
    world->rig.loop.now_ns = 0;
    world->began_ns = loop_now(&world->rig.loop);
    world->connect = (struct connect){
        .loop = &world->rig.loop,
        .resolver = world->resolver,
        .book = &world->book,
        .origin = &world->origin,
        .tls = tls,
        .transport = &world->transport,
        .events = &events,
    };
    world->done = 0;
    memset(world->phases, 0, sizeof(world->phases));
    assert_int_equal(connect_start(&world->connect, world->began_ns + limit_in_ns), ST_OK);
    assert_int_equal(world->done, 0);
    assert_string_equal(world->phases, "");
}

/* Connects, or fails to, and returns how long it took. */
static int64_t run(struct world *world, struct tls_client *tls, int64_t limit_in_ns)
{
    start(world, tls, limit_in_ns);
    rig_run(&world->rig);
    assert_int_equal(world->done, 1);
    world->rig.loop.now_ns = 0;
    return loop_now(&world->rig.loop) - world->began_ns;
}

static void stop_now(struct timer *timer, int64_t now_ns)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, watchdog);

    (void)now_ns;
    loop_stop(&rig->loop);
}

/* Turns until the connect has come as far as these phases. */
static void run_to(struct world *world, const char *phases)
{
    int64_t began_ns = loop_now(&world->rig.loop);

    world->rig.watchdog.fn = stop_now;
    while (strcmp(world->phases, phases) != 0) {
        world->rig.loop.now_ns = 0;
        assert_true(loop_now(&world->rig.loop) - began_ns < 10 * NS_PER_S);
        timer_set(&world->rig.loop.timers, &world->rig.watchdog, loop_now(&world->rig.loop) + NS_PER_MS);
        assert_int_equal(loop_run(&world->rig.loop), ST_OK);
        atomic_store(&world->rig.loop.stop, false);
    }
    world->rig.watchdog.fn = rig_is_late;
}

static void run_for(struct world *world, int64_t in_ns)
{
    world->rig.watchdog.fn = stop_now;
    world->rig.loop.now_ns = 0;
    timer_set(&world->rig.loop.timers, &world->rig.watchdog, loop_now(&world->rig.loop) + in_ns);
    assert_int_equal(loop_run(&world->rig.loop), ST_OK);
    atomic_store(&world->rig.loop.stop, false);
    world->rig.watchdog.fn = rig_is_late;
}

static void assert_connected(struct world *world, const char *phases)
{
    assert_string_equal(world->detail, "");
    assert_int_equal(world->cause, CAUSE_NONE);
    assert_string_equal(world->phases, phases);
    assert_true(transport_is_open(&world->transport));
}

static void assert_failed(struct world *world, enum cause cause, const char *phases, const char *ip,
                          const char *why)
{
    char expected[200];

    snprintf(expected, sizeof(expected), "%s:%u: %s", ip, world->origin.port, why);
    assert_string_equal(world->detail, expected);
    assert_int_equal(world->cause, cause);
    assert_string_equal(world->phases, phases);
    assert_false(transport_is_open(&world->transport));
}

static void stop_worker(struct transport *transport)
{
    loop_stop(transport->loop);
}

static void use_ip(struct world *world, const char *ip)
{
    bool is_v6 = strchr(ip, ':') != NULL;

    world->origin.host = ip;
    world->origin.host_is_ip = true;
    world->origin.ip.family = is_v6 ? ENDPOINT_IPV6 : ENDPOINT_IPV4;
    inet_pton(is_v6 ? AF_INET6 : AF_INET, ip, world->origin.ip.ip);
}

/* ---- plain connections --------------------------------------------------------------------------------- */

static void a_name_is_resolved_and_connected_to(void **state)
{
    struct world *world = *state;
    struct iovec hello = {.iov_base = (void *)(uintptr_t) "hello", .iov_len = 5};
    int peer, no_delay = 0;
    socklen_t option_len = sizeof(no_delay);
    char bytes[8];
    size_t len;

    world->addresses[0] = "127.0.0.1";
    run(world, NULL, NS_PER_S);
    assert_connected(world, "dc");
    assert_int_equal(getsockopt(world->transport.fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &option_len), 0);
    assert_true(no_delay);
    assert_int_equal(fcntl(world->transport.fd, F_GETFD), FD_CLOEXEC);
    peer = accept(world->listener, NULL, NULL);
    assert_int_equal(transport_write(&world->transport, &hello, 1, &len), ST_OK);
    assert_int_equal(recv(peer, bytes, sizeof(bytes), 0), 5);
    assert_int_equal(transport_read(&world->transport, bytes, sizeof(bytes), &len), ST_AGAIN);
    close(peer);
}

static void an_ip_literal_asks_no_name_server(void **state)
{
    struct world *world = *state;

    use_ip(world, "127.0.0.1");
    run(world, NULL, NS_PER_S);
    assert_connected(world, "c");
}

static void an_ipv6_literal_is_connected_to(void **state)
{
    struct world *world = *state;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) < 0)
        skip();
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    world->origin.port = ntohs(address.sin6_port);
    use_ip(world, "::1");
    run(world, NULL, NS_PER_S);
    assert_connected(world, "c");
    transport_close(&world->transport);
    close(listener);
    run(world, NULL, NS_PER_S);
    assert_failed(world, CAUSE_REFUSED, "c", "[::1]", "Connection refused");
}

static void localhost_falls_back_to_its_other_address(void **state)
{
    struct world *world = *state;

    world->origin.host = "localhost";
    run(world, NULL, NS_PER_S);
    assert_connected(world, "dc");
}

static void a_refusal_names_the_address(void **state)
{
    struct world *world = *state;

    use_ip(world, "127.0.0.9");
    run(world, NULL, NS_PER_S);
    assert_failed(world, CAUSE_REFUSED, "c", "127.0.0.9", "Connection refused");
}

static void what_can_not_be_routed_says_so(void **state)
{
    struct world *world = *state;

    use_ip(world, "255.255.255.255");
    run(world, NULL, NS_PER_S);
    assert_int_equal(world->cause, CAUSE_UNROUTABLE);
    assert_false(transport_is_open(&world->transport));
}

static void a_name_that_does_not_resolve_says_so(void **state)
{
    struct world *world = *state;

    world->origin.host = "a..test";
    run(world, NULL, NS_PER_S);
    assert_int_equal(world->cause, CAUSE_DNS);
    assert_string_equal(world->phases, "d");
    assert_memory_equal(world->detail, "a..test: ", 9);
}

static void addresses_that_refuse_are_passed_over(void **state)
{
    struct world *world = *state;

    world->addresses[0] = "127.0.0.9";
    world->addresses[1] = "127.0.0.8";
    world->addresses[2] = "127.0.0.1";
    run(world, NULL, NS_PER_S);
    assert_connected(world, "dc");
}

static void when_all_refuse_the_last_one_is_named(void **state)
{
    struct world *world = *state;

    world->addresses[0] = "127.0.0.9";
    world->addresses[1] = "127.0.0.8";
    run(world, NULL, NS_PER_S);
    assert_failed(world, CAUSE_REFUSED, "dc", "127.0.0.8", "Connection refused");
}

/* ---- several addresses --------------------------------------------------------------------------------- */

static void assert_peer(const struct world *world, const char *ip)
{
    char text[INET_ADDRSTRLEN];

    assert_int_equal(world->peer.any.sa_family, AF_INET);
    inet_ntop(AF_INET, &world->peer.v4.sin_addr, text, sizeof(text));
    assert_string_equal(text, ip);
    assert_int_equal(ntohs(world->peer.v4.sin_port), world->origin.port);
}

static void a_silent_address_costs_one_stagger_and_is_remembered(void **state)
{
    struct world *world = *state;
    int before;
    int64_t took_ns;

    swallow_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.1";
    took_ns = run(world, NULL, 10 * NS_PER_S);
    assert_connected(world, "dc");
    assert_peer(world, "127.0.0.1");
    assert_true(took_ns >= 250 * NS_PER_MS);
    assert_true(took_ns < 1500 * NS_PER_MS);
    before = open_descriptors();
    for (int i = 0; i < 4; i++) {
        transport_close(&world->transport);
        assert_true(run(world, NULL, 10 * NS_PER_S) < 200 * NS_PER_MS);
        assert_peer(world, "127.0.0.1");
        assert_int_equal(open_descriptors(), before);
    }
}

static void in_a_short_time_the_second_address_has_half_of_it(void **state)
{
    struct world *world = *state;

    swallow_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.1";
    assert_true(run(world, NULL, 200 * NS_PER_MS) < 245 * NS_PER_MS);
    assert_peer(world, "127.0.0.1");
}

static void addresses_that_have_lost_are_the_last_until_they_are_forgotten(void **state)
{
    struct world *world = *state;

    world->addresses[0] = "127.0.0.9";
    world->addresses[1] = "127.0.0.1";
    world->origin.remember_ns = 0;
    run(world, NULL, NS_PER_S);
    assert_int_equal(world->book.memory.count, 1);
    transport_close(&world->transport);
    run(world, NULL, NS_PER_S); /* finds it forgotten, begins with the other, and has no need of it */
    assert_peer(world, "127.0.0.1");
    assert_int_equal(world->book.memory.count, 0);
}

static void an_address_that_works_again_is_forgiven_at_once(void **state)
{
    struct world *world = *state;
    int other;

    world->addresses[0] = "127.0.0.9";
    world->addresses[1] = "127.0.0.1";
    run(world, NULL, NS_PER_S);
    assert_peer(world, "127.0.0.1");
    transport_close(&world->transport);
    other = world->listener;
    world->listener = listen_at(world, "127.0.0.9");
    world->others[0] = socket(AF_INET, SOCK_STREAM, 0); /* closed in its place */
    close(other);
    run(world, NULL, NS_PER_S);
    assert_peer(world, "127.0.0.9");
    assert_int_equal(world->book.memory.count, 1); /* the other one, now */
    assert_int_equal(atomic_load(&world->book.noted), 1);
}

static void connections_are_spread_over_addresses_that_are_up(void **state)
{
    struct world *world = *state;
    int counts[4] = {0};

    listen_at(world, "127.0.0.2");
    listen_at(world, "127.0.0.3");
    world->addresses[0] = "127.0.0.1";
    world->addresses[1] = "127.0.0.2";
    world->addresses[2] = "127.0.0.3";
    for (int i = 0; i < 9; i++) {
        run(world, NULL, NS_PER_S);
        counts[ntohl(world->peer.v4.sin_addr.s_addr) & 3]++;
        transport_close(&world->transport);
    }
    assert_int_equal(counts[1], 3);
    assert_int_equal(counts[2], 3);
    assert_int_equal(counts[3], 3);
}

static void at_most_four_sockets_are_on_their_way_and_the_fifth_address_has_its_turn(void **state)
{
    struct world *world = *state;
    int before;

    for (int i = 0; i < 4; i++) {
        static const char *const silent[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"};

        swallow_at(world, silent[i]);
        world->addresses[i] = silent[i];
    }
    world->addresses[4] = "127.0.0.1";
    world->origin.stagger_ns = 10 * NS_PER_MS;
    before = open_descriptors();
    start(world, NULL, 10 * NS_PER_S);
    run_for(world, 800 * NS_PER_MS);
    assert_int_equal(world->done, 0);
    assert_true(open_descriptors() <= before + 4 + 1); /* the resolver keeps one */
    rig_run(&world->rig);
    assert_connected(world, "dc");
    assert_peer(world, "127.0.0.1");
    assert_int_equal(world->book.memory.count, 4);
}

static void an_attempt_that_is_silent_is_waited_for_when_all_others_have_failed(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    uint32_t timers = world->rig.loop.timers.members;

    swallow_at(world, "127.0.0.2");
    before++;
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.9";
    start(world, NULL, 400 * NS_PER_MS);
    run_for(world, 500 * NS_PER_MS);
    assert_int_equal(world->done, 0);
    assert_int_equal(world->connect.cause, CAUSE_REFUSED);
    world->peer = world->connect.peer;
    assert_peer(world, "127.0.0.2"); /* not the one that has refused since */
    connect_cancel(&world->connect);
    assert_false(transport_is_open(&world->transport));
    assert_true(open_descriptors() <= before + 1);
    assert_true(world->rig.loop.timers.members <= timers + 1);
    assert_int_equal(world->book.memory.count, 2);
}

static void cancelled_with_several_on_their_way_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before;

    swallow_at(world, "127.0.0.2");
    swallow_at(world, "127.0.0.3");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.3";
    world->origin.stagger_ns = 10 * NS_PER_MS;
    before = open_descriptors();
    start(world, NULL, 10 * NS_PER_S);
    run_for(world, 100 * NS_PER_MS);
    assert_true(open_descriptors() >= before + 2);
    connect_cancel(&world->connect);
    connect_cancel(&world->connect);
    assert_true(open_descriptors() <= before + 1); /* the resolver's */
    assert_int_equal(world->book.memory.count, 1); /* the one that was passed */
    assert_int_equal(world->done, 0);
}

static void a_connection_that_was_made_beside_the_first_moves_bytes(void **state)
{
    struct world *world = *state;
    struct iovec hello = {.iov_base = (void *)(uintptr_t) "hello", .iov_len = 5};
    char bytes[8];
    size_t len;
    int peer;

    swallow_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.1";
    world->origin.stagger_ns = 10 * NS_PER_MS;
    run(world, NULL, 10 * NS_PER_S);
    assert_connected(world, "dc");
    peer = accept(world->listener, NULL, NULL);
    assert_int_equal(transport_write(&world->transport, &hello, 1, &len), ST_OK);
    assert_int_equal(recv(peer, bytes, sizeof(bytes), 0), 5);
    assert_int_equal(transport_read(&world->transport, bytes, sizeof(bytes), &len), ST_AGAIN);
    assert_int_equal(send(peer, "world", 5, 0), 5);
    world->transport.on_ready = stop_worker;
    rig_run(&world->rig);
    assert_int_equal(transport_read(&world->transport, bytes, sizeof(bytes), &len), ST_OK);
    assert_int_equal(len, 5);
    close(peer);
}

/* ---- shortage ------------------------------------------------------------------------------------------ */

static void without_descriptors_the_connect_fails_by_itself(void **state)
{
    struct world *world = *state;
    struct rlimit limit, none;

    use_ip(world, "127.0.0.1");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    start(world, NULL, NS_PER_S);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rig_run(&world->rig);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_failed(world, CAUSE_INTERNAL, "c", "127.0.0.1", "Too many open files");
}

/* ---- leaving ------------------------------------------------------------------------------------------- */

static void cancel_leaves_nothing(struct world *world, int descriptors, uint32_t timers)
{
    connect_cancel(&world->connect);
    connect_cancel(&world->connect);
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(world->done, 0);
    assert_false(transport_is_open(&world->transport));
    /* A channel of the resolver's that is idle keeps its timer. */
    assert_true(world->rig.loop.timers.members <= timers + 1);
}

static void cancelled_before_its_first_step_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    uint32_t timers = world->rig.loop.timers.members;

    start(world, NULL, NS_PER_S);
    cancel_leaves_nothing(world, before, timers);
    assert_string_equal(world->phases, "");
    assert_true(list_is_empty(&world->rig.loop.deferred));
}

static void cancelled_while_resolving_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    uint32_t timers = world->rig.loop.timers.members;

    start(world, NULL, 10 * NS_PER_S);
    run_to(world, "d");
    assert_true(open_descriptors() > before);
    connect_cancel(&world->connect);
    assert_int_equal(world->done, 0);
    resolver_free(world->resolver); /* the lookup goes on */
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(world->rig.loop.timers.members, timers - 1);
    world->resolver = resolver_new(&world->rig.loop);
    assert_non_null(world->resolver);
}

static void cancelled_while_connecting_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before;
    uint32_t timers = world->rig.loop.timers.members;

    swallow_at(world, "127.0.0.2");
    before = open_descriptors();
    use_ip(world, "127.0.0.2");
    start(world, NULL, 10 * NS_PER_S);
    run_to(world, "c");
    assert_int_equal(open_descriptors(), before + 1);
    cancel_leaves_nothing(world, before, timers);
}

static void after_done_a_cancel_leaves_the_transport_alone(void **state)
{
    struct world *world = *state;

    use_ip(world, "127.0.0.1");
    run(world, NULL, NS_PER_S);
    assert_connected(world, "c");
    connect_cancel(&world->connect);
    assert_true(transport_is_open(&world->transport));
}

/* ---- TLS ----------------------------------------------------------------------------------------------- */

static struct tls_client *tls_towards(const char *server_name)
{
    const struct tls_spec spec = {
        .ca_file = pki.ca,
        .server_name = server_name,
        .min_version = TLS1_2_VERSION,
    };
    struct tls_trust trust;
    struct tls_fault fault;
    struct tls_client *tls;

    tls_trust_init(&trust);
    tls = tls_client_new(&spec, 1, &trust, &fault);
    tls_trust_fini(&trust);
    assert_non_null(tls);
    return tls;
}

struct server {
    pthread_t thread;
    SSL_CTX *context;
    int listener;
    int closes_first; /* that many connections, in the handshake */
};

/*
 * Accepts connections until one has got through its handshake or failed in it; writes "hello", and waits for
 * the end.
 */
static void *serve(void *arg)
{
    struct server *server = arg;
    struct timeval limit = {.tv_sec = 10};
    char byte;
    SSL *ssl;
    int fd;

    while (server->closes_first-- > 0)
        close(accept(server->listener, NULL, NULL));
    fd = accept(server->listener, NULL, NULL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ssl = SSL_new(server->context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        (void)SSL_write(ssl, "hello", 5);
        (void)SSL_read(ssl, &byte, 1);
    }
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void start_server(struct world *world, struct server *server, const char *pem)
{
    *server = (struct server){
        .context = server_context(&pki, pem, TLS1_3_VERSION, false),
        .listener = world->listener,
        .closes_first = server->closes_first,
    };
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void end_server(struct world *world, struct server *server)
{
    transport_close(&world->transport);
    pthread_join(server->thread, NULL);
    SSL_CTX_free(server->context);
}

static void assert_hello(struct world *world)
{
    char bytes[8];
    size_t len = 0;
    enum status status;

    world->transport.on_ready = stop_worker;
    while ((status = transport_read(&world->transport, bytes, sizeof(bytes), &len)) == ST_AGAIN)
        rig_run(&world->rig);
    assert_int_equal(status, ST_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(bytes, "hello", 5);
}

static void a_connection_under_tls_is_ready_to_read_and_resumes_its_session(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards("api.test");
    struct server server = {0};

    world->addresses[0] = "127.0.0.1";
    start_server(world, &server, pki.good);
    for (int i = 0; i < 3; i++) {
        run(world, tls, NS_PER_S * 5);
        assert_connected(world, "dct");
        assert_int_equal(SSL_session_reused(world->transport.ssl), i > 0);
        assert_hello(world);
        transport_reset(&world->transport); /* as when a call is cut */
        pthread_join(server.thread, NULL);
        assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
    }
    shutdown(world->listener, SHUT_RDWR); /* the last one has nobody to wait for */
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_wrong_certificate_tells_more_than_a_refusal_at_the_next_address(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards("localhost.test");
    struct server server = {0};

    world->origin.host = "localhost"; /* two addresses */
    start_server(world, &server, pki.good);
    run(world, tls, NS_PER_S * 5);
    assert_failed(world, CAUSE_TLS_CERTIFICATE, "dct", "127.0.0.1", "certificate: hostname mismatch");
    assert_peer(world, "127.0.0.1"); /* not the one tried last, which tells less */
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_handshake_that_is_broken_off_is_tried_at_the_next_address(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards("api.test");
    struct server server = {.closes_first = 1};

    close(world->listener);
    world->listener = listen_at(world, "0.0.0.0");
    world->other_count--;
    world->addresses[0] = "127.0.0.1";
    world->addresses[1] = "127.0.0.2";
    start_server(world, &server, pki.good);
    run(world, tls, NS_PER_S * 5);
    assert_connected(world, "dct");
    assert_hello(world);
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_handshake_that_is_always_broken_off_is_a_protocol_error(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards("api.test");
    struct server server = {.closes_first = 1};

    use_ip(world, "127.0.0.1");
    start_server(world, &server, pki.good);
    run(world, tls, NS_PER_S * 5);
    assert_int_equal(world->cause, CAUSE_TLS_PROTOCOL);
    assert_string_equal(world->phases, "ct");
    assert_memory_equal(world->detail, "127.0.0.1:", 10);
    shutdown(world->listener, SHUT_RDWR);
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_handshake_that_stalls_loses_to_the_next_address(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards("api.test");
    struct server server = {0};
    int64_t took_ns;
    int before;

    /* Its queue takes the connection; nobody answers. */
    listen_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.1";
    start_server(world, &server, pki.good);
    before = open_descriptors();
    took_ns = run(world, tls, 10 * NS_PER_S);
    assert_connected(world, "dct");
    assert_peer(world, "127.0.0.1");
    assert_true(took_ns >= 250 * NS_PER_MS);
    assert_true(took_ns < 1500 * NS_PER_MS);
    assert_true(open_descriptors() <= before + 3); /* both ends, and the resolver's */
    assert_hello(world);
    assert_int_equal(world->book.memory.count, 1);
    end_server(world, &server);
    tls_client_free(tls);
}

static void cancelled_in_a_handshake_that_stalls_nothing_is_left(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards("api.test");
    int before = open_descriptors();
    uint32_t timers = world->rig.loop.timers.members;

    use_ip(world, "127.0.0.1");
    start(world, tls, 10 * NS_PER_S);
    run_to(world, "ct");
    assert_int_equal(open_descriptors(), before + 1);
    cancel_leaves_nothing(world, before, timers);
    tls_client_free(tls);
}

/* ---- no memory ----------------------------------------------------------------------------------------- */

static bool fail_nth(void *arg, size_t size)
{
    int *left = arg;

    return --*left == 0;
}

static void without_memory_the_connect_fails_and_leaves_nothing(void **state)
{
    struct world *world = *state;
    int before, nth = 0, left;

    swallow_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.1";
    world->origin.stagger_ns = 10 * NS_PER_MS;
    before = open_descriptors();
    do {
        left = ++nth;
        address_book_fini(&world->book);
        address_book_init(&world->book);
        start(world, NULL, NS_PER_S);
        mem_set_fault(fail_nth, &left);
        rig_run(&world->rig);
        mem_set_fault(NULL, NULL);
        assert_int_equal(world->done, 1);
        if (world->cause != CAUSE_NONE) {
            assert_true(world->cause == CAUSE_INTERNAL || world->cause == CAUSE_DNS);
            assert_int_equal(open_descriptors(), before);
        }
        transport_close(&world->transport);
        resolver_free(world->resolver); /* with what it keeps */
        world->resolver = resolver_new(&world->rig.loop);
        event_del(&world->dns_event);
        close(world->dns_fd);
        start_name_server(world);
        assert_true(nth < 20);
    } while (left <= 0);
    assert_true(nth > 3);
}

static int set_up_all(void **state)
{
    pki_init(&pki);
    return 0;
}

static int tear_down_all(void **state)
{
    pki_fini(&pki);
    return 0;
}

int main(void)
{
#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_name_is_resolved_and_connected_to),
        WORLD_TEST(an_ip_literal_asks_no_name_server),
        WORLD_TEST(an_ipv6_literal_is_connected_to),
        WORLD_TEST(localhost_falls_back_to_its_other_address),
        WORLD_TEST(a_refusal_names_the_address),
        WORLD_TEST(what_can_not_be_routed_says_so),
        WORLD_TEST(a_name_that_does_not_resolve_says_so),
        WORLD_TEST(addresses_that_refuse_are_passed_over),
        WORLD_TEST(when_all_refuse_the_last_one_is_named),
        WORLD_TEST(a_silent_address_costs_one_stagger_and_is_remembered),
        WORLD_TEST(in_a_short_time_the_second_address_has_half_of_it),
        WORLD_TEST(addresses_that_have_lost_are_the_last_until_they_are_forgotten),
        WORLD_TEST(an_address_that_works_again_is_forgiven_at_once),
        WORLD_TEST(connections_are_spread_over_addresses_that_are_up),
        WORLD_TEST(at_most_four_sockets_are_on_their_way_and_the_fifth_address_has_its_turn),
        WORLD_TEST(an_attempt_that_is_silent_is_waited_for_when_all_others_have_failed),
        WORLD_TEST(cancelled_with_several_on_their_way_nothing_is_left),
        WORLD_TEST(a_connection_that_was_made_beside_the_first_moves_bytes),
        WORLD_TEST(without_descriptors_the_connect_fails_by_itself),
        WORLD_TEST(cancelled_before_its_first_step_nothing_is_left),
        WORLD_TEST(cancelled_while_resolving_nothing_is_left),
        WORLD_TEST(cancelled_while_connecting_nothing_is_left),
        WORLD_TEST(after_done_a_cancel_leaves_the_transport_alone),
        WORLD_TEST(a_connection_under_tls_is_ready_to_read_and_resumes_its_session),
        WORLD_TEST(a_wrong_certificate_tells_more_than_a_refusal_at_the_next_address),
        WORLD_TEST(a_handshake_that_is_broken_off_is_tried_at_the_next_address),
        WORLD_TEST(a_handshake_that_is_always_broken_off_is_a_protocol_error),
        WORLD_TEST(a_handshake_that_stalls_loses_to_the_next_address),
        WORLD_TEST(cancelled_in_a_handshake_that_stalls_nothing_is_left),
        WORLD_TEST(without_memory_the_connect_fails_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
