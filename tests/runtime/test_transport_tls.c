/* Transports under TLS: what one read takes, and what it leaves for the next. */
#include "support.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/tls_transport.h"
#include "runtime/transport.h"

#define READ_CAP 65536u

struct world {
    struct rig rig;
    struct transport transport;
    SSL_CTX *ctx;
    BIO_METHOD *method;
    BIO *bio;
    SSL *peer;
};

static void ignore(struct transport *transport)
{
    (void)transport;
}

/* Nobody's identity matters here, so there are no certificates. */
static SSL_CTX *anonymous_tls(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "AECDH-AES128-SHA:@SECLEVEL=0"), 1);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

static SSL *side(struct world *world, int fd)
{
    SSL *ssl = SSL_new(world->ctx);

    assert_non_null(ssl);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    return ssl;
}

typedef enum status open_fn(struct transport *transport, struct loop *loop, int fd, transport_fn on_ready);

static int set_up_by(void **state, open_fn *open_transport)
{
    struct world *world = test_calloc(1, sizeof(*world));
    int pair[2], ours = 0, theirs = 0;
    SSL *ssl;

    rig_init(&world->rig);
    world->ctx = anonymous_tls();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    world->peer = side(world, pair[1]);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    world->method = tls_transport_method_new();
    world->bio = BIO_new(world->method);
    assert_int_equal(open_transport(&world->transport, &world->rig.loop, pair[0], ignore), ST_OK);
    ssl = SSL_new(world->ctx);
    tls_transport_open(&world->transport, ssl, world->bio);
    tls_transport_lend(&world->transport);
    SSL_set_connect_state(ssl);
    SSL_set_accept_state(world->peer);
    for (int turn = 0; turn < 10 && (ours != 1 || theirs != 1); turn++) {
        ours = SSL_do_handshake(ssl);
        theirs = SSL_do_handshake(world->peer);
    }
    assert_int_equal(ours + theirs, 2);
    world->transport.can_read = true;
    *state = world;
    return 0;
}

static int set_up(void **state)
{
    return set_up_by(state, transport_open);
}

static int set_up_accepted(void **state)
{
    return set_up_by(state, transport_open_accepted);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    int fd = SSL_get_fd(world->peer);

    transport_close(&world->transport);
    SSL_free(world->peer);
    close(fd);
    SSL_CTX_free(world->ctx);
    BIO_free(world->bio);
    BIO_meth_free(world->method);
    rig_fini(&world->rig);
    test_free(world);
    return 0;
}

static void say(struct world *world, size_t len)
{
    static char bytes[READ_CAP];

    assert_int_equal(SSL_write(world->peer, bytes, (int)len), (int)len);
}

static void expect_read(struct world *world, enum status want, size_t want_len)
{
    static char bytes[READ_CAP];
    size_t len = 0;

    assert_int_equal(transport_read(&world->transport, bytes, sizeof(bytes), &len), want);
    assert_int_equal(len, want_len);
}

static void one_read_takes_all_records_and_the_next_waits_for_an_event(void **state)
{
    struct world *world = *state;

    say(world, 3 * SSL3_RT_MAX_PLAIN_LENGTH);
    expect_read(world, ST_OK, 3 * SSL3_RT_MAX_PLAIN_LENGTH);
    assert_false(world->transport.can_read);
    expect_read(world, ST_AGAIN, 0);
}

/* It came along with the bytes and raises no event any more, and the connection itself stays open. */
static void a_close_notify_behind_the_bytes_is_seen_by_the_next_read(void **state)
{
    struct world *world = *state;

    say(world, 1000);
    assert_int_equal(SSL_shutdown(world->peer), 0);
    expect_read(world, ST_OK, 1000);
    expect_read(world, ST_EOF, 0);
}

static void a_broken_record_behind_the_bytes_is_seen_by_the_next_read(void **state)
{
    struct world *world = *state;
    const char junk[64] = "no record of any version";

    say(world, 1000);
    assert_int_equal(write(SSL_get_fd(world->peer), junk, sizeof(junk)), (ssize_t)sizeof(junk));
    expect_read(world, ST_OK, 1000);
    expect_read(world, ST_FAILED, 0);
}

/* The head of a record comes alone: what is freed while the rest is waited for must not be that. */
static void a_record_that_comes_in_two_pieces_is_read_whole(void **state)
{
    struct world *world = *state;
    BIO *memory = BIO_new(BIO_s_mem());
    int fd = SSL_get_fd(world->peer);
    char *record;
    long len;

    SSL_set0_wbio(world->peer, memory);
    say(world, 1000);
    len = BIO_get_mem_data(memory, &record);
    for (int head = 1; head <= SSL3_RT_HEADER_LENGTH; head += SSL3_RT_HEADER_LENGTH - 1) {
        assert_int_equal(write(fd, record, (size_t)head), head);
        world->transport.can_read = true;
        expect_read(world, ST_AGAIN, 0);
        assert_int_equal(write(fd, record + head, (size_t)(len - head)), len - head);
        world->transport.can_read = true;
        expect_read(world, ST_OK, 1000);
        (void)BIO_reset(memory);
        say(world, 1000);
        len = BIO_get_mem_data(memory, &record);
    }
}

static int events_of(const struct world *world)
{
    return event_base_get_num_events(world->rig.loop.base, EVENT_BASE_COUNT_ADDED);
}

/* The alert with which a connection closes finds no room, and waits for none: memory that is freed would be told. */
static void a_close_before_a_full_socket_leaves_no_event(void **state)
{
    static const char much[4096];
    struct world *world = *state;
    int open = events_of(world);

    while (send(world->transport.fd, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        continue;
    transport_close(&world->transport);
    assert_int_equal(events_of(world), open - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_close_before_a_full_socket_leaves_no_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_close_before_a_full_socket_leaves_no_event, set_up_accepted,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_read_takes_all_records_and_the_next_waits_for_an_event, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_close_notify_behind_the_bytes_is_seen_by_the_next_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_broken_record_behind_the_bytes_is_seen_by_the_next_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_record_that_comes_in_two_pieces_is_read_whole, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
