#include "certificates.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "runtime/connect.h"
#include "runtime/dns_cache.h"

/*
 * The addresses of a name are put under test by a name server on the loop that answers every question for A
 * with the same list. 127.0.0.0/8 is all loopback: an address at which nobody listens refuses, and one whose
 * listener has a full queue swallows what comes.
 */

#define HOST "upstream.test"

struct world {
    struct rig rig;
    struct resolver *resolver;
    struct upstream_config upstream;
    struct stream stream;
    struct connect connect;
    int64_t began_ns;

    int dns_fd;
    struct event dns_event;
    const char *addresses[4]; /* none: the name server is silent */

    int listener;
    int crowd[2]; /* connections that fill the queue of `full` */
    int full;     /* a listener that takes no more; -1 */

    char phases[16]; /* a letter for each that was entered */
    unsigned done;
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

static void ended(struct connect *connect, enum cause cause, const char *detail)
{
    struct world *world = world_of(connect);

    world->done++;
    world->cause = cause;
    snprintf(world->detail, sizeof(world->detail), "%s", detail);
    memset(connect, 0xff, sizeof(*connect)); /* nobody touches it any more */
    connect->active = false;
    worker_stop(&world->rig.worker);
}

static const struct connect_events events = {phase_entered, ended};

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
    for (int i = 0; for_ipv4 && i < 4 && world->addresses[i] != NULL; i++) {
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
    event_assign(&world->dns_event, world->rig.worker.base, world->dns_fd, EV_READ | EV_PERSIST,
                 question_came, world);
    event_add(&world->dns_event, NULL);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(resolver_set_servers(world->resolver, text), ST_OK);
}

static int set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof(*world));
    struct sockaddr_in address;

    rig_init(&world->rig);
    world->resolver = resolver_new(&world->rig.worker);
    assert_non_null(world->resolver);
    start_name_server(world);
    stream_init(&world->stream);
    world->listener = bound_socket(SOCK_STREAM, &address);
    assert_int_equal(listen(world->listener, 16), 0);
    world->full = -1;
    world->upstream =
        (struct upstream_config){.name = "payments", .host = HOST, .port = ntohs(address.sin_port)};
    *state = world;
    return 0;
}

static void close_full_listener(struct world *world)
{
    if (world->full < 0)
        return;
    close(world->full);
    for (int i = 0; i < 2; i++)
        close(world->crowd[i]);
}

static int tear_down(void **state)
{
    struct world *world = *state;

    connect_cancel(&world->connect);
    stream_close(&world->stream);
    resolver_free(world->resolver);
    event_del(&world->dns_event);
    close(world->dns_fd);
    close(world->listener);
    close_full_listener(world);
    rig_fini(&world->rig);
    test_free(world);
    return 0;
}

/*
 * At this address, and the port of the good one, connections get no answer: the queue of a backlog of 0 holds
 * one.
 */
static void swallow_at(struct world *world, const char *ip)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(world->upstream.port)};

    inet_pton(AF_INET, ip, &address.sin_addr);
    world->full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->full, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(world->full, 0), 0);
    for (int i = 0; i < 2; i++) {
        struct pollfd poll_fd;

        world->crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        poll_fd = (struct pollfd){.fd = world->crowd[i], .events = POLLOUT};
        (void)connect(world->crowd[i], (struct sockaddr *)&address, sizeof(address));
        if (i == 0)
            assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    }
}

static void start(struct world *world, struct tls_client *tls, int64_t limit_in_ns)
{
    world->rig.worker.now_ns = 0;
    world->began_ns = worker_now(&world->rig.worker);
    world->connect = (struct connect){
        .worker = &world->rig.worker,
        .resolver = world->resolver,
        .upstream = &world->upstream,
        .tls = tls,
        .stream = &world->stream,
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
    world->rig.worker.now_ns = 0;
    return worker_now(&world->rig.worker) - world->began_ns;
}

static void assert_connected(struct world *world, const char *phases)
{
    assert_string_equal(world->detail, "");
    assert_int_equal(world->cause, CAUSE_NONE);
    assert_string_equal(world->phases, phases);
    assert_true(stream_is_open(&world->stream));
}

static void assert_failed(struct world *world, enum cause cause, const char *phases, const char *ip,
                          const char *why)
{
    char expected[200];

    snprintf(expected, sizeof(expected), "%s:%u: %s", ip, world->upstream.port, why);
    assert_string_equal(world->detail, expected);
    assert_int_equal(world->cause, cause);
    assert_string_equal(world->phases, phases);
    assert_false(stream_is_open(&world->stream));
}

static void use_ip(struct world *world, const char *ip)
{
    bool is_v6 = strchr(ip, ':') != NULL;

    world->upstream.host = ip;
    world->upstream.host_is_ip = true;
    world->upstream.ip.family = is_v6 ? ADDRESS_IPV6 : ADDRESS_IPV4;
    inet_pton(is_v6 ? AF_INET6 : AF_INET, ip, world->upstream.ip.ip);
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
    assert_int_equal(getsockopt(world->stream.fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &option_len), 0);
    assert_true(no_delay);
    assert_int_equal(fcntl(world->stream.fd, F_GETFD), FD_CLOEXEC);
    peer = accept(world->listener, NULL, NULL);
    assert_int_equal(stream_write(&world->stream, &hello, 1, &len), ST_OK);
    assert_int_equal(recv(peer, bytes, sizeof(bytes), 0), 5);
    assert_int_equal(stream_read(&world->stream, bytes, sizeof(bytes), &len), ST_AGAIN);
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
    world->upstream.port = ntohs(address.sin6_port);
    use_ip(world, "::1");
    run(world, NULL, NS_PER_S);
    assert_connected(world, "c");
    stream_close(&world->stream);
    close(listener);
    run(world, NULL, NS_PER_S);
    assert_failed(world, CAUSE_REFUSED, "c", "[::1]", "Connection refused");
}

static void localhost_falls_back_to_its_other_address(void **state)
{
    struct world *world = *state;

    world->upstream.host = "localhost";
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
    assert_false(stream_is_open(&world->stream));
}

static void a_name_that_does_not_resolve_says_so(void **state)
{
    struct world *world = *state;

    world->upstream.host = "a..test";
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
    assert_connected(world, "dccc");
}

static void when_all_refuse_the_last_one_is_named(void **state)
{
    struct world *world = *state;

    world->addresses[0] = "127.0.0.9";
    world->addresses[1] = "127.0.0.8";
    run(world, NULL, NS_PER_S);
    assert_failed(world, CAUSE_REFUSED, "dcc", "127.0.0.8", "Connection refused");
}

static void an_address_that_swallows_packets_leaves_time_for_the_next(void **state)
{
    struct world *world = *state;
    int64_t took_ns;

    swallow_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.1";
    took_ns = run(world, NULL, 600 * NS_PER_MS);
    assert_connected(world, "dcc");
    assert_true(took_ns >= 295 * NS_PER_MS);
    assert_true(took_ns < 900 * NS_PER_MS);
}

static void a_share_that_ran_out_is_forgotten_for_a_refusal(void **state)
{
    struct world *world = *state;

    swallow_at(world, "127.0.0.2");
    world->addresses[0] = "127.0.0.2";
    world->addresses[1] = "127.0.0.9";
    run(world, NULL, 400 * NS_PER_MS);
    assert_failed(world, CAUSE_REFUSED, "dcc", "127.0.0.9", "Connection refused");
}

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

static void stop_now(struct timer *timer, int64_t now_ns)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, watchdog);

    (void)now_ns;
    worker_stop(&rig->worker);
}

/* Turns until the connect has come as far as these phases. */
static void run_to(struct world *world, const char *phases)
{
    int64_t began_ns = worker_now(&world->rig.worker);

    world->rig.watchdog.fn = stop_now;
    while (strcmp(world->phases, phases) != 0) {
        world->rig.worker.now_ns = 0;
        assert_true(worker_now(&world->rig.worker) - began_ns < 10 * NS_PER_S);
        timer_set(&world->rig.worker.timers, &world->rig.watchdog,
                  worker_now(&world->rig.worker) + NS_PER_MS);
        assert_int_equal(worker_run(&world->rig.worker), ST_OK);
        atomic_store(&world->rig.worker.stop, false);
    }
    world->rig.watchdog.fn = rig_is_late;
}

static void cancel_leaves_nothing(struct world *world, int descriptors, uint32_t timers)
{
    connect_cancel(&world->connect);
    connect_cancel(&world->connect);
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(world->done, 0);
    assert_false(stream_is_open(&world->stream));
    /* A channel of the resolver's that is idle keeps its timer. */
    assert_true(world->rig.worker.timers.members <= timers + 1);
}

static void cancelled_before_its_first_step_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    uint32_t timers = world->rig.worker.timers.members;

    start(world, NULL, NS_PER_S);
    cancel_leaves_nothing(world, before, timers);
    assert_string_equal(world->phases, "");
    assert_true(list_is_empty(&world->rig.worker.deferred));
}

static void cancelled_while_resolving_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    uint32_t timers = world->rig.worker.timers.members;

    start(world, NULL, 10 * NS_PER_S);
    run_to(world, "d");
    assert_true(open_descriptors() > before);
    cancel_leaves_nothing(world, before, timers);
}

static void cancelled_while_connecting_nothing_is_left(void **state)
{
    struct world *world = *state;
    int before;
    uint32_t timers = world->rig.worker.timers.members;

    swallow_at(world, "127.0.0.2");
    before = open_descriptors();
    use_ip(world, "127.0.0.2");
    start(world, NULL, 10 * NS_PER_S);
    run_to(world, "c");
    assert_int_equal(open_descriptors(), before + 1);
    cancel_leaves_nothing(world, before, timers);
}

static void after_done_a_cancel_leaves_the_stream_alone(void **state)
{
    struct world *world = *state;

    use_ip(world, "127.0.0.1");
    run(world, NULL, NS_PER_S);
    assert_connected(world, "c");
    connect_cancel(&world->connect);
    assert_true(stream_is_open(&world->stream));
}

/* ---- TLS ----------------------------------------------------------------------------------------------- */

static struct tls_client *tls_towards(struct world *world, const char *server_name)
{
    char why[256];
    struct tls_client *tls;

    world->upstream.tls = (struct tls_config){
        .enabled = true,
        .ca_file = pki.ca,
        .server_name = server_name,
        .min_version = TLS1_2_VERSION,
    };
    tls = tls_client_new(&world->upstream, 1, why, sizeof(why));
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
    stream_close(&world->stream);
    pthread_join(server->thread, NULL);
    SSL_CTX_free(server->context);
}

static void stop_worker(struct stream *stream)
{
    worker_stop(stream->worker);
}

static void assert_hello(struct world *world)
{
    char bytes[8];
    size_t len = 0;
    enum status status;

    world->stream.on_ready = stop_worker;
    while ((status = stream_read(&world->stream, bytes, sizeof(bytes), &len)) == ST_AGAIN)
        rig_run(&world->rig);
    assert_int_equal(status, ST_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(bytes, "hello", 5);
}

static void a_connection_under_tls_is_ready_to_read_and_resumes_its_session(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards(world, "api.test");
    struct server server = {0};

    world->addresses[0] = "127.0.0.1";
    start_server(world, &server, pki.good);
    for (int i = 0; i < 3; i++) {
        run(world, tls, NS_PER_S * 5);
        assert_connected(world, "dct");
        assert_int_equal(SSL_session_reused(world->stream.ssl), i > 0);
        assert_hello(world);
        stream_reset(&world->stream); /* as when a call is cut */
        pthread_join(server.thread, NULL);
        assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
    }
    shutdown(world->listener, SHUT_RDWR); /* the last one has nobody to wait for */
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_wrong_certificate_is_not_tried_at_the_next_address(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards(world, "localhost.test");
    struct server server = {0};

    world->upstream.host = "localhost"; /* two addresses */
    start_server(world, &server, pki.good);
    run(world, tls, NS_PER_S * 5);
    assert_failed(world, CAUSE_TLS_CERTIFICATE, "dct", "127.0.0.1", "certificate: hostname mismatch");
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_handshake_that_is_broken_off_is_tried_at_the_next_address(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards(world, "api.test");
    struct server server = {.closes_first = 1};

    world->addresses[0] = world->addresses[1] = "127.0.0.1";
    start_server(world, &server, pki.good);
    run(world, tls, NS_PER_S * 5);
    assert_connected(world, "dctct");
    assert_hello(world);
    end_server(world, &server);
    tls_client_free(tls);
}

static void a_handshake_that_is_always_broken_off_is_a_protocol_error(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards(world, "api.test");
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

static void a_handshake_that_stalls_gets_its_share_and_no_more(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards(world, "api.test");
    int64_t took_ns;

    /* The listener's queue takes the connection; nobody answers. At ::1 nobody listens. */
    world->upstream.host = "localhost";
    took_ns = run(world, tls, 300 * NS_PER_MS);
    assert_string_equal(world->phases, "dctc");
    assert_int_not_equal(world->cause, CAUSE_CONNECT_LIMIT);
    assert_true(took_ns >= 150 * NS_PER_MS);
    assert_true(took_ns < 900 * NS_PER_MS);
    tls_client_free(tls);
}

static void cancelled_in_a_handshake_that_stalls_nothing_is_left(void **state)
{
    struct world *world = *state;
    struct tls_client *tls = tls_towards(world, "api.test");
    int before = open_descriptors();
    uint32_t timers = world->rig.worker.timers.members;

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
    int before = open_descriptors();
    int nth = 0, left;

    do {
        left = ++nth;
        world->addresses[0] = "127.0.0.1";
        start(world, NULL, NS_PER_S);
        mem_set_fault(fail_nth, &left);
        rig_run(&world->rig);
        mem_set_fault(NULL, NULL);
        assert_int_equal(world->done, 1);
        if (world->cause != CAUSE_NONE) {
            assert_true(world->cause == CAUSE_INTERNAL || world->cause == CAUSE_DNS);
            assert_int_equal(open_descriptors(), before);
        }
        stream_close(&world->stream);
        resolver_free(world->resolver); /* with what it keeps */
        world->resolver = resolver_new(&world->rig.worker);
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
        WORLD_TEST(an_address_that_swallows_packets_leaves_time_for_the_next),
        WORLD_TEST(a_share_that_ran_out_is_forgotten_for_a_refusal),
        WORLD_TEST(without_descriptors_the_connect_fails_by_itself),
        WORLD_TEST(cancelled_before_its_first_step_nothing_is_left),
        WORLD_TEST(cancelled_while_resolving_nothing_is_left),
        WORLD_TEST(cancelled_while_connecting_nothing_is_left),
        WORLD_TEST(after_done_a_cancel_leaves_the_stream_alone),
        WORLD_TEST(a_connection_under_tls_is_ready_to_read_and_resumes_its_session),
        WORLD_TEST(a_wrong_certificate_is_not_tried_at_the_next_address),
        WORLD_TEST(a_handshake_that_is_broken_off_is_tried_at_the_next_address),
        WORLD_TEST(a_handshake_that_is_always_broken_off_is_a_protocol_error),
        WORLD_TEST(a_handshake_that_stalls_gets_its_share_and_no_more),
        WORLD_TEST(cancelled_in_a_handshake_that_stalls_nothing_is_left),
        WORLD_TEST(without_memory_the_connect_fails_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
