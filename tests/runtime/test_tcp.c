#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>

#include "runtime/tcp.h"

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static int tuned_socket(int64_t longest_ns)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    tcp_tune_upstream(fd, longest_ns);
    return fd;
}

static void a_silent_connection_is_probed_before_a_gateway_forgets_it(void **state)
{
    int fd = tuned_socket(2 * NS_PER_S);

    (void)state;
    assert_true(option_of(fd, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
    close(fd);
}

/* On its way to a listener, with nobody who takes it. */
static int connecting_socket(int64_t longest_ns, int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd;

    *listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(*listener, 1), 0);
    assert_int_equal(getsockname(*listener, (struct sockaddr *)&address, &len), 0);
    fd = tcp_connect((struct sockaddr *)&address, longest_ns);
    assert_true(fd >= 0);
    return fd;
}

static void one_whose_calls_are_over_before_a_probe_is_set_when_it_comes_to_rest(void **state)
{
    static const int64_t lengths_ns[] = {2 * NS_PER_S, 59999 * NS_PER_MS, 60 * NS_PER_S, NS_NEVER};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        bool is_short = lengths_ns[i] < 60 * NS_PER_S;
        int timeout_ms = lengths_ns[i] == NS_NEVER ? 0 : (int)(lengths_ns[i] / NS_PER_MS) + 1000;
        int listener, fd = connecting_socket(lengths_ns[i], &listener);

        assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
        assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), is_short ? 0 : 1);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), is_short ? 0 : timeout_ms);
        tcp_tune_at_rest(fd, lengths_ns[i]);
        assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), timeout_ms);
        close(fd);
        close(listener);
    }
}

static void the_kernel_keeps_no_data_for_longer_than_a_call_may_take(void **state)
{
    static const struct {
        int64_t longest_ns;
        int ms;
    } cases[] = {{0, 1000}, {1500 * NS_PER_MS, 2500}, {86400 * NS_PER_S, 86401000}, {NS_NEVER, 0}};

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = tuned_socket(cases[i].longest_ns);

        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), cases[i].ms);
        close(fd);
    }
}

static void a_shortage_of_this_host_is_told_from_what_the_upstream_does(void **state)
{
    static const struct sockaddr_in peer = {.sin_family = AF_INET};
    static const struct {
        int error;
        enum cause cause;
    } cases[] = {
        {EMFILE, CAUSE_INTERNAL},         {ENFILE, CAUSE_INTERNAL},         {ENOBUFS, CAUSE_INTERNAL},
        {ENOMEM, CAUSE_INTERNAL},         {ENOSPC, CAUSE_INTERNAL},         {EAGAIN, CAUSE_INTERNAL},
        {EADDRNOTAVAIL, CAUSE_INTERNAL},  {ECONNREFUSED, CAUSE_REFUSED},    {ECONNRESET, CAUSE_TERMINATED},
        {ETIMEDOUT, CAUSE_CONNECT_LIMIT}, {EHOSTUNREACH, CAUSE_UNROUTABLE}, {EPERM, CAUSE_UNROUTABLE},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tcp_cause_of(cases[i].error, (const struct sockaddr *)&peer), cases[i].cause);
}

static void what_the_kernel_does_not_tell_raises_no_suspicion(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    tcp_begin_probing(pair[0]);
    tcp_end_probing(pair[0]);
    assert_true(tcp_has_acknowledged(pair[0], 0));
    assert_false(tcp_is_unacknowledged(pair[0]));
    close(pair[0]);
    close(pair[1]);
}

/* 2001:db8::/32 is for documentation (RFC 3849). */
static void a_host_without_ipv6_is_not_short_of_ports(void **state)
{
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has_source;

    (void)state;
    if (fd < 0)
        skip();
    inet_pton(AF_INET6, "2001:db8::1", &peer.sin6_addr);
    has_source = connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) == 0 || errno != EADDRNOTAVAIL;
    close(fd);
    assert_int_equal(tcp_cause_of(EADDRNOTAVAIL, (const struct sockaddr *)&peer),
                     has_source ? CAUSE_INTERNAL : CAUSE_UNROUTABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_connection_is_probed_before_a_gateway_forgets_it),
        cmocka_unit_test(one_whose_calls_are_over_before_a_probe_is_set_when_it_comes_to_rest),
        cmocka_unit_test(the_kernel_keeps_no_data_for_longer_than_a_call_may_take),
        cmocka_unit_test(a_shortage_of_this_host_is_told_from_what_the_upstream_does),
        cmocka_unit_test(what_the_kernel_does_not_tell_raises_no_suspicion),
        cmocka_unit_test(a_host_without_ipv6_is_not_short_of_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
