#include "certificates.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>

#include "runtime/tls_files.h"
#include "runtime/tls.h"
#include "runtime/tls_transport.h"

/* ---- both ends over a pair of sockets ------------------------------------------------------------------ */

static struct pki pki;
static struct rig rig; /* whose loop is each of a client's, in turn */

static int set_up_all(void **state)
{
    rig_init(&rig);
    alarm(120);
    pki_init(&pki);
    return 0;
}

static int tear_down_all(void **state)
{
    pki_fini(&pki);
    rig_fini(&rig);
    return 0;
}

static struct tls_spec spec_for(const char *server_name, const char *ca_file)
{
    return (struct tls_spec){.ca_file = ca_file, .server_name = server_name, .min_version = TLS1_2_VERSION};
}

static struct tls_client *client_of(const struct tls_spec *spec)
{
    struct tls_trust trust;
    struct tls_fault fault;
    struct tls_client *client;

    tls_trust_init(&trust);
    client = tls_client_new(spec, 2, &trust, &fault);
    tls_trust_fini(&trust);
    if (client == NULL)
        print_error("%s\n", fault.text);
    assert_non_null(client);
    return client;
}

/* The server's end: a thread that accepts one connection, writes a byte and waits for the client to close. */
struct server {
    pthread_t thread;
    SSL_CTX *context;
    int fd;
    char name[64]; /* that the client asked for by SNI */
    char protocol[16];
    int accepted;
    int (*then)(SSL *ssl); /* after the handshake, before the byte; NULL: nothing. 1: go on */
};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned int in_len, void *arg)
{
    struct server *server = arg;

    snprintf(server->protocol, sizeof(server->protocol), "%.*s", in[0], in + 1);
    *out = in + 1;
    *out_len = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static void *serve(void *arg)
{
    struct server *server = arg;
    SSL *ssl = SSL_new(server->context);
    char byte = '!';

    SSL_set_fd(ssl, server->fd);
    server->accepted = SSL_accept(ssl);
    if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL)
        snprintf(server->name, sizeof(server->name), "%s",
                 SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    if (server->accepted == 1 && (server->then == NULL || server->then(ssl) == 1)) {
        (void)SSL_write(ssl, &byte, 1);
        (void)SSL_read(ssl, &byte, 1);
    }
    SSL_free(ssl);
    close(server->fd);
    return NULL;
}

struct result {
    enum status status;
    struct tls_failure failure;
    bool resumed, got_byte;
};

static void ignore(struct transport *transport)
{
    (void)transport;
}

static void wait_for(struct transport *transport)
{
    struct pollfd poll_fd = {.fd = transport->fd,
                             .events = SSL_want_write(transport->ssl) ? POLLOUT : POLLIN};

    assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    transport->can_read = transport->can_write = true;
}

/* What comes before the byte are tickets. */
static bool reads_a_byte(struct transport *transport)
{
    enum status status;
    size_t len;
    char byte;

    while ((status = transport_read(transport, &byte, 1, &len)) == ST_AGAIN)
        wait_for(transport);
    return status == ST_OK;
}

static struct result shake_hands(struct tls_client *client, struct transport *transport)
{
    struct result result = {.failure.cause = CAUSE_NONE};

    assert_int_equal(tls_begin(client, transport, true), ST_OK);
    while ((result.status = tls_handshake(transport, &result.failure)) == ST_AGAIN)
        wait_for(transport);
    assert_int_equal(ERR_peek_error(), 0);
    transport->can_read = true; /* what has come with the handshake raises no event */
    result.resumed = result.status == ST_OK && SSL_session_reused(transport->ssl);
    return result;
}

static void open_on(struct transport *transport, uint32_t loop, int fd)
{
    rig.loop.index = loop;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(transport_open(transport, &rig.loop, fd, ignore), ST_OK);
}

/* A connection of the client's loop to a server with that context; ended without a closing alert. */
static struct result meet(struct tls_client *client, uint32_t loop, SSL_CTX *context, struct server *server)
{
    struct transport transport;
    struct result result;
    struct server unnamed = {.then = NULL};
    int fds[2];

    server = server != NULL ? server : &unnamed;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *server = (struct server){.context = context, .fd = fds[1], .then = server->then};
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, server);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    open_on(&transport, loop, fds[0]);
    result = shake_hands(client, &transport);
    if (result.status == ST_OK && !(result.got_byte = reads_a_byte(&transport)))
        (void)tls_transport_why(&transport, result.failure.why, sizeof(result.failure.why));
    transport_reset(&transport);
    pthread_join(server->thread, NULL);
    return result;
}

/* The same for one connection to a server with that certificate. */
static struct result meet_once(const struct tls_spec *spec, const char *pem, int version, bool wants_client)
{
    struct tls_client *client = client_of(spec);
    SSL_CTX *context = server_context(&pki, pem, version, wants_client);
    struct result result = meet(client, 0, context, NULL);

    SSL_CTX_free(context);
    tls_client_free(client);
    return result;
}

static void assert_certificate_error(const struct tls_spec *spec, const char *pem, const char *why)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct result result = meet_once(spec, pem, version, false);

        assert_int_equal(result.status, ST_FAILED);
        assert_int_equal(result.failure.cause, CAUSE_TLS_CERTIFICATE);
        assert_string_equal(result.failure.why, why);
    }
}

/* ---- handshakes ---------------------------------------------------------------------------------------- */

static void a_good_certificate_is_taken_and_the_name_sent(void **state)
{
    struct tls_spec spec = spec_for("api.test.", pki.ca);
    struct tls_client *client = client_of(&spec);
    SSL_CTX *context = server_context(&pki, pki.good, TLS1_3_VERSION, false);
    struct server server = {.then = NULL};
    struct result result = meet(client, 0, context, &server);

    assert_int_equal(result.status, ST_OK);
    assert_true(result.got_byte);
    assert_string_equal(server.name, "api.test");
    assert_string_equal(server.protocol, "http/1.1");
    SSL_CTX_free(context);
    tls_client_free(client);
}

static void an_ip_address_is_verified_and_not_sent_as_a_name(void **state)
{
    struct tls_spec spec = spec_for("127.0.0.1", pki.ca);
    struct tls_spec other = spec_for("127.0.0.2", pki.ca);
    struct tls_client *client = client_of(&spec);
    SSL_CTX *context = server_context(&pki, pki.good, TLS1_3_VERSION, false);
    struct server server = {.then = NULL};
    struct result result = meet(client, 0, context, &server);

    assert_int_equal(result.status, ST_OK);
    assert_string_equal(server.name, "");
    SSL_CTX_free(context);
    tls_client_free(client);
    assert_certificate_error(&other, pki.good, "certificate: IP address mismatch");
}

static void wildcards_stand_for_a_whole_label(void **state)
{
    struct tls_spec one = spec_for("a.wild.test", pki.ca), two = spec_for("a.b.wild.test", pki.ca);

    assert_int_equal(meet_once(&one, pki.good, TLS1_3_VERSION, false).status, ST_OK);
    assert_certificate_error(&two, pki.good, "certificate: hostname mismatch");
}

static void certificates_that_are_not_trusted_are_refused(void **state)
{
    struct tls_spec right = spec_for("api.test", pki.ca), wrong = spec_for("api.test", pki.other_ca);
    struct tls_spec system_trust = spec_for("api.test", NULL);

    assert_certificate_error(&wrong, pki.good, "certificate: unable to get local issuer certificate");
    assert_certificate_error(&system_trust, pki.good, "certificate: unable to get local issuer certificate");
    assert_certificate_error(&right, pki.expired, "certificate: certificate has expired");
    assert_certificate_error(&right, pki.other_name, "certificate: hostname mismatch");
}

/* RFC 9110 4.3.4, RFC 9525: a common name is no identity of a server. */
static void a_certificate_without_alternative_names_is_nobodys(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);

    assert_certificate_error(&spec, pki.only_cn, "certificate: hostname mismatch");
}

static void our_certificate_is_shown_when_asked_for(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);
    struct result result;

    result = meet_once(&spec, pki.good, TLS1_2_VERSION, true);
    assert_int_equal(result.status, ST_FAILED);
    assert_int_equal(result.failure.cause, CAUSE_TLS_PROTOCOL);
    assert_non_null(strstr(result.failure.why, "alert handshake failure"));
    result = meet_once(&spec, pki.good, TLS1_3_VERSION, true);
    assert_false(result.got_byte);
    assert_string_equal(result.failure.why, "TLS: tlsv13 alert certificate required");
    spec.cert_file = spec.key_file = pki.client;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
        assert_true(meet_once(&spec, pki.good, version, true).got_byte);
}

static void a_server_below_the_least_version_is_refused(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);
    struct result result;

    spec.min_version = TLS1_3_VERSION;
    result = meet_once(&spec, pki.good, TLS1_2_VERSION, false);
    assert_int_equal(result.status, ST_FAILED);
    assert_int_equal(result.failure.cause, CAUSE_TLS_PROTOCOL);
    assert_non_null(strstr(result.failure.why, "protocol version"));
}

/* ---- a certificate asked for later --------------------------------------------------------------------- */

/* One connection to a server that does this after the handshake. */
static struct result meet_and_then(const struct tls_spec *spec, int version, int (*then)(SSL *ssl))
{
    struct tls_client *client = client_of(spec);
    SSL_CTX *context = server_context(&pki, pki.good, version, false);
    struct server server = {.then = then};
    struct result result;

    SSL_CTX_load_verify_file(context, pki.ca);
    result = meet(client, 0, context, &server);
    SSL_CTX_free(context);
    tls_client_free(client);
    return result;
}

/* Reads what is no content until the client has sent another Finished than this one, or something goes wrong. */
static int has_sent_certificate(SSL *ssl, const char *finished)
{
    char latest[EVP_MAX_MD_SIZE] = "", byte;

    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    do {
        int result = SSL_read(ssl, &byte, 1);

        if (result > 0 || SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
            return 0;
        SSL_get_peer_finished(ssl, latest, sizeof(latest));
    } while (memcmp(latest, finished, sizeof(latest)) == 0);
    return SSL_get0_peer_certificate(ssl) != NULL;
}

static int ask_by(SSL *ssl, int (*ask)(SSL *ssl))
{
    char finished[EVP_MAX_MD_SIZE] = "";

    SSL_get_peer_finished(ssl, finished, sizeof(finished));
    SSL_set_options(ssl, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ask(ssl) == 1 && SSL_do_handshake(ssl) == 1 && has_sent_certificate(ssl, finished);
}

static int ask_after_the_handshake(SSL *ssl)
{
    return ask_by(ssl, SSL_verify_client_post_handshake);
}

static int renegotiate(SSL *ssl)
{
    return ask_by(ssl, SSL_renegotiate);
}

static int renegotiate_twice(SSL *ssl)
{
    return renegotiate(ssl) && renegotiate(ssl);
}

static void our_certificate_is_shown_after_the_handshake(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);

    assert_false(meet_and_then(&spec, TLS1_3_VERSION, ask_after_the_handshake).got_byte);
    spec.cert_file = spec.key_file = pki.client;
    assert_true(meet_and_then(&spec, TLS1_3_VERSION, ask_after_the_handshake).got_byte);
}

static void a_renegotiation_is_refused_unless_it_is_allowed_and_then_done_once(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);
    struct result result;

    spec.cert_file = spec.key_file = pki.client;
    result = meet_and_then(&spec, TLS1_2_VERSION, renegotiate);
    assert_false(result.got_byte);
    assert_non_null(strstr(result.failure.why, "renegotiation"));
    assert_non_null(strstr(result.failure.why, "tls.renegotiate: true"));
    spec.renegotiate = true;
    assert_true(meet_and_then(&spec, TLS1_2_VERSION, renegotiate).got_byte);
    result = meet_and_then(&spec, TLS1_2_VERSION, renegotiate_twice);
    assert_false(result.got_byte);
    assert_non_null(strstr(result.failure.why, "was refused"));
}

/* ---- sessions ------------------------------------------------------------------------------------------ */

static void a_worker_resumes_its_latest_session_even_after_cuts(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_client *client = client_of(&spec);
        SSL_CTX *context = server_context(&pki, pki.good, version, false);

        assert_false(meet(client, 0, context, NULL).resumed);
        for (int i = 0; i < 3; i++)
            assert_true(meet(client, 0, context, NULL).resumed);
        assert_false(meet(client, 1, context, NULL).resumed);
        assert_true(meet(client, 1, context, NULL).resumed);
        SSL_CTX_free(context);
        tls_client_free(client);
    }
}

static void a_session_does_not_outlive_a_failed_handshake(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);
    struct tls_client *client = client_of(&spec);
    SSL_CTX *good = server_context(&pki, pki.good, TLS1_3_VERSION, false);
    SSL_CTX *expired = server_context(&pki, pki.expired, TLS1_3_VERSION, false);

    assert_false(meet(client, 0, good, NULL).resumed);
    assert_int_equal(meet(client, 0, expired, NULL).status, ST_FAILED);
    assert_false(meet(client, 0, good, NULL).resumed);
    assert_true(meet(client, 0, good, NULL).resumed);
    SSL_CTX_free(expired);
    SSL_CTX_free(good);
    tls_client_free(client);
}

/* ---- peers that speak no TLS --------------------------------------------------------------------------- */

static struct result meet_bytes(const char *bytes)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);
    struct tls_client *client = client_of(&spec);
    struct transport transport;
    struct result result;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(write(fds[1], bytes, strlen(bytes)), strlen(bytes));
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    open_on(&transport, 0, fds[0]);
    result = shake_hands(client, &transport);
    transport_close(&transport);
    close(fds[1]);
    tls_client_free(client);
    return result;
}

static void a_peer_without_tls_is_a_protocol_error(void **state)
{
    struct result result = meet_bytes("HTTP/1.1 400 Bad Request\r\n\r\n");

    assert_int_equal(result.status, ST_FAILED);
    assert_int_equal(result.failure.cause, CAUSE_TLS_PROTOCOL);
    assert_string_equal(result.failure.why,
                        "TLS: wrong version number: the peer does not seem to speak TLS on this port");
}

static void a_peer_that_closes_in_the_handshake_is_a_protocol_error(void **state)
{
    struct result result = meet_bytes("");

    assert_int_equal(result.status, ST_FAILED);
    assert_int_equal(result.failure.cause, CAUSE_TLS_PROTOCOL);
    assert_non_null(strstr(result.failure.why, "the peer closed the connection"));
}

static void a_peer_that_resets_in_the_handshake_is_a_protocol_error(void **state)
{
    struct tls_spec spec = spec_for("api.test", pki.ca);
    struct tls_client *client = client_of(&spec);
    struct result result;
    struct sockaddr_in address;
    struct linger reset = {.l_onoff = 1};
    int listener = bound_socket(SOCK_STREAM, &address), peer,
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct transport transport;

    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    peer = accept(listener, NULL, NULL);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(peer);
    open_on(&transport, 0, fd);
    result = shake_hands(client, &transport);
    assert_int_equal(result.status, ST_FAILED);
    assert_int_equal(result.failure.cause, CAUSE_TLS_PROTOCOL);
    assert_string_equal(result.failure.why, "TLS: handshake: Connection reset by peer");
    transport_close(&transport);
    close(listener);
    tls_client_free(client);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void assert_complaint(const struct tls_spec *spec, enum tls_file file, const char *path,
                             const char *reason)
{
    struct tls_trust trust;
    struct tls_fault fault;
    char expected[512];

    tls_trust_init(&trust);
    assert_null(tls_client_new(spec, 1, &trust, &fault));
    tls_trust_fini(&trust);
    assert_int_equal(fault.file, file);
    snprintf(expected, sizeof(expected), "%s: %s", path, reason);
    assert_string_equal(fault.text, expected);
    assert_int_equal(ERR_peek_error(), 0);
}

static void authorities_that_several_trust_are_read_once(void **state)
{
    char path[sizeof(pki.dir) + sizeof("/link.pem")];
    struct tls_spec spec = spec_for("api.test", path), other = spec_for("api.test", pki.other_ca);
    struct server server = {.then = NULL};
    SSL_CTX *context = server_context(&pki, pki.good, TLS1_3_VERSION, false);
    struct tls_client *first, *second, *third;
    struct tls_trust trust;
    struct tls_fault fault;

    (void)state;
    snprintf(path, sizeof(path), "%s/link.pem", pki.dir);
    assert_int_equal(symlink(pki.ca, path), 0);
    tls_trust_init(&trust);
    first = tls_client_new(&spec, 2, &trust, &fault);
    assert_int_equal(unlink(path), 0); /* the second has no need of it */
    second = tls_client_new(&spec, 2, &trust, &fault);
    third = tls_client_new(&other, 2, &trust, &fault);
    tls_trust_fini(&trust);
    assert_true(first != NULL && second != NULL && third != NULL);
    tls_client_free(first);
    assert_int_equal(meet(second, 0, context, &server).status, ST_OK);
    assert_int_equal(meet(third, 0, context, &server).failure.cause, CAUSE_TLS_CERTIFICATE);
    tls_client_free(second);
    tls_client_free(third);
    SSL_CTX_free(context);
}

static void a_complaint_names_file_and_reason(void **state)
{
    struct tls_spec spec = spec_for("api.test", "/nonexistent/x.pem");

    assert_complaint(&spec, TLS_CA_FILE, "/nonexistent/x.pem", "No such file or directory");
    spec.ca_file = pki.dir;
    assert_complaint(&spec, TLS_CA_FILE, pki.dir, "Is a directory");
    spec.ca_file = "/dev/null";
    assert_complaint(&spec, TLS_CA_FILE, "/dev/null", "the file is empty");
    spec.ca_file = pki.no_pem;
    assert_complaint(&spec, TLS_CA_FILE, pki.no_pem,
                     "no CA certificates in PEM form: no certificate or crl found");

    spec.ca_file = pki.ca;
    spec.cert_file = pki.no_pem;
    spec.key_file = pki.client;
    assert_complaint(&spec, TLS_CERT_FILE, pki.no_pem, "no certificate in PEM form: no start line");
    spec.cert_file = pki.client;
    spec.key_file = "/nonexistent/key.pem";
    assert_complaint(&spec, TLS_KEY_FILE, "/nonexistent/key.pem", "No such file or directory");
    spec.key_file = pki.ca;
    assert_complaint(&spec, TLS_KEY_FILE, pki.ca, "no private key in PEM form that can be used");
    spec.key_file = pki.good;
    assert_complaint(&spec, TLS_KEY_FILE, pki.good, "the key does not match cert_file");
    spec.cert_file = spec.key_file = pki.encrypted_key;
    assert_complaint(&spec, TLS_KEY_FILE, pki.encrypted_key,
                     "the key is encrypted, and there is nobody to ask for a passphrase");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_taken_and_the_name_sent),
        cmocka_unit_test(an_ip_address_is_verified_and_not_sent_as_a_name),
        cmocka_unit_test(wildcards_stand_for_a_whole_label),
        cmocka_unit_test(certificates_that_are_not_trusted_are_refused),
        cmocka_unit_test(a_certificate_without_alternative_names_is_nobodys),
        cmocka_unit_test(our_certificate_is_shown_when_asked_for),
        cmocka_unit_test(a_server_below_the_least_version_is_refused),
        cmocka_unit_test(our_certificate_is_shown_after_the_handshake),
        cmocka_unit_test(a_renegotiation_is_refused_unless_it_is_allowed_and_then_done_once),
        cmocka_unit_test(a_worker_resumes_its_latest_session_even_after_cuts),
        cmocka_unit_test(a_session_does_not_outlive_a_failed_handshake),
        cmocka_unit_test(a_peer_without_tls_is_a_protocol_error),
        cmocka_unit_test(a_peer_that_closes_in_the_handshake_is_a_protocol_error),
        cmocka_unit_test(a_peer_that_resets_in_the_handshake_is_a_protocol_error),
        cmocka_unit_test(authorities_that_several_trust_are_read_once),
        cmocka_unit_test(a_complaint_names_file_and_reason),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
