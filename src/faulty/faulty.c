#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/number.h"
#include "faulty/behaviours.h"
#include "faulty/conn_life.h"
#include "faulty/faulty.h"
#include "faulty/h2.h"
#include "faulty/listener.h"
#include "faulty/tls.h"
#include "runtime/precise_base.h"

#define LISTENERS_MAX 16

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
    const char *listen[LISTENERS_MAX];
    size_t listeners;
    bool tls;
    bool tls_stall;
    uint64_t proxy;
    const char *proxy_behind;
    struct faulty_tls_options tls_files;
    bool http2;
    struct faulty_h2_options h2;
    uint64_t h2_streams, h2_window;
    uint64_t seed;
    bool help;
};

static const char usage[] =
    "usage: curfew faulty --listen ADDRESS [--listen ADDRESS]... [OPTION]...\n"
    "An HTTP API that misbehaves on purpose, to try curfew with, and a policy of one's own.\n"
    "\n"
    "  --listen ADDRESS   127.0.0.1:9000 or 9000, [::1]:9000 or unix:/path; port 0: any that is free\n"
    "  --tls              speak TLS, with a self-signed certificate made now for localhost,\n"
    "                     api.test, 127.0.0.1 and ::1\n"
    "  --cert FILE        with --tls: this certificate (chain) instead, and\n"
    "  --key FILE         its key, both as PEM\n"
    "  --ca-out FILE      with --tls: write the certificate as PEM, for clients to trust\n"
    "  --client-ca FILE   with --tls: demand a client certificate that FILE vouches for\n"
    "  --tls-stall        take connections and whatever the peer sends, and never answer it\n"
    "  --proxy STATUS     be behind a proxy, which answers each CONNECT so: 200, 403, 407 and others\n"
    "  --proxy-behind TEXT  with --proxy 200: this comes right behind the answer\n"
    "  --http2            take HTTP/2, too: by prior knowledge, or with --tls by ALPN, and then\n"
    "  --h2-goaway N      end a connection by GOAWAY after N requests\n"
    "  --h2-streams N     let a connection have N streams, 0 too; default 100\n"
    "  --h2-window N      give a stream a window of N bytes, 0 too; default 65535\n"
    "  --h2-no-settings   never send SETTINGS\n"
    "  --h2-no-pongs      answer no PING\n"
    "  --seed N           of /flaky; default 1\n"
    "  -h, --help         this text\n"
    "\n"
    "Ends at SIGINT or SIGTERM. Exit status: 0 done, 1 failed, 2 wrong usage.\n"
    "\n"
    "?after=VALUE adds Retry-After to a status (%20 stands for a space), ?told X-Should-Retry: false.\n"
    "A STEP is a status code, reset, close (without an answer), half, garbage or stuck; with ~MS behind\n"
    "it, after MS milliseconds.\n"
    "An EVENT is event, ping (an event of type ping), comment, retry or done, *N behind it for N of them,\n"
    "each after ~MS; or end, close, reset, stall, or again, which begins anew.\n"
    "\n"
    "Paths; a request's content is read whole before the answer, where nothing else is said:\n";

static int complain(const char *what, const char *name)
{
    (void)fprintf(stderr, "curfew faulty: %s%s\nTry 'curfew faulty --help'.\n", what, name);
    return EXIT_USAGE;
}

/* -------------------------------------------------------------------------------------- options */

enum {
    OPT_LISTEN = 1,
    OPT_TLS,
    OPT_TLS_STALL,
    OPT_PROXY,
    OPT_PROXY_BEHIND,
    OPT_CERT,
    OPT_KEY,
    OPT_CA_OUT,
    OPT_CLIENT_CA,
    OPT_SEED,
    OPT_HTTP2,
    OPT_H2_GOAWAY,
    OPT_H2_STREAMS,
    OPT_H2_WINDOW,
    OPT_H2_NO_SETTINGS,
    OPT_H2_NO_PONGS,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"tls", no_argument, NULL, OPT_TLS},
    {"tls-stall", no_argument, NULL, OPT_TLS_STALL},
    {"proxy", required_argument, NULL, OPT_PROXY},
    {"proxy-behind", required_argument, NULL, OPT_PROXY_BEHIND},
    {"cert", required_argument, NULL, OPT_CERT},
    {"key", required_argument, NULL, OPT_KEY},
    {"ca-out", required_argument, NULL, OPT_CA_OUT},
    {"client-ca", required_argument, NULL, OPT_CLIENT_CA},
    {"seed", required_argument, NULL, OPT_SEED},
    {"http2", no_argument, NULL, OPT_HTTP2},
    {"h2-goaway", required_argument, NULL, OPT_H2_GOAWAY},
    {"h2-streams", required_argument, NULL, OPT_H2_STREAMS},
    {"h2-window", required_argument, NULL, OPT_H2_WINDOW},
    {"h2-no-settings", no_argument, NULL, OPT_H2_NO_SETTINGS},
    {"h2-no-pongs", no_argument, NULL, OPT_H2_NO_PONGS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_h2_number(const char *name, const char *value, uint64_t most, uint64_t *out)
{
    if (number_u64(span_of(value), out) == NUMBER_OK && *out <= most)
        return EXIT_DONE;
    (void)fprintf(stderr, "curfew faulty: %s takes a number up to %" PRIu64 ", not %s\n", name, most, value);
    return EXIT_USAGE;
}

static int take_option(struct options *o, int option, const char *value, const char *given)
{
    switch (option) {
    case OPT_LISTEN:
        if (o->listeners == LISTENERS_MAX)
            return complain("too many --listen", "");
        o->listen[o->listeners++] = value;
        break;
    case OPT_TLS: o->tls = true; break;
    case OPT_TLS_STALL: o->tls_stall = true; break;
    case OPT_PROXY:
        if (number_u64(span_of(value), &o->proxy) != NUMBER_OK || o->proxy < 200 || o->proxy > 599)
            return complain("--proxy takes a status from 200 to 599, not ", value);
        break;
    case OPT_PROXY_BEHIND: o->proxy_behind = value; break;
    case OPT_CERT: o->tls_files.cert_file = value; break;
    case OPT_KEY: o->tls_files.key_file = value; break;
    case OPT_CA_OUT: o->tls_files.ca_out_file = value; break;
    case OPT_CLIENT_CA: o->tls_files.client_ca_file = value; break;
    case OPT_SEED:
        if (number_u64(span_of(value), &o->seed) != NUMBER_OK)
            return complain("--seed takes a number, not ", value);
        break;
    case OPT_HTTP2: o->http2 = true; break;
    case OPT_H2_GOAWAY: return take_h2_number("--h2-goaway", value, UINT64_MAX, &o->h2.goaway);
    case OPT_H2_STREAMS: return take_h2_number("--h2-streams", value, UINT32_MAX, &o->h2_streams);
    case OPT_H2_WINDOW: return take_h2_number("--h2-window", value, INT32_MAX, &o->h2_window);
    case OPT_H2_NO_SETTINGS: o->h2.no_settings = true; break;
    case OPT_H2_NO_PONGS: o->h2.no_pongs = true; break;
    case 'h': o->help = true; break;
    case ':': return complain("a value is missing after ", given);
    default: return complain("unknown option ", given);
    }
    return EXIT_DONE;
}

static int check_options(const struct options *o)
{
    const struct faulty_tls_options *files = &o->tls_files;

    if (o->listeners == 0)
        return complain("--listen is missing", "");
    if ((files->cert_file == NULL) != (files->key_file == NULL))
        return complain("--cert and --key belong together", "");
    if (!o->tls && (files->cert_file != NULL || files->ca_out_file != NULL || files->client_ca_file != NULL))
        return complain("--cert, --key, --ca-out and --client-ca need --tls", "");
    if (o->proxy_behind[0] != '\0' && o->proxy != 200)
        return complain("--proxy-behind needs --proxy 200", "");
    if (!o->http2 && (o->h2.no_settings || o->h2.no_pongs || o->h2.goaway != 0 || o->h2_streams != 100 ||
                      o->h2_window != 65535))
        return complain("what begins with --h2- needs --http2", "");
    return EXIT_DONE;
}

static int parse_options(int argc, char **argv, struct options *o)
{
    int option;
    int result = EXIT_DONE;

    *o = (struct options){.seed = 1, .proxy_behind = "", .h2_streams = 100, .h2_window = 65535};
    optind = 0; /* getopt may have been used before: start afresh */
    opterr = 0;
    while (result == EXIT_DONE && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
        result = take_option(o, option, optarg, argv[optind - 1]);
    if (result != EXIT_DONE || o->help)
        return result;
    return optind < argc ? complain("unexpected argument ", argv[optind]) : check_options(o);
}

/* ---------------------------------------------------------------------------------------- running */

/* Thousands of connections are what this is for. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections, then */
    }
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)event_base_loopbreak(arg); /* fails only without a base */
}

static int serve(struct faulty_server *server, const struct options *o)
{
    struct event *interrupt = evsignal_new(server->base, SIGINT, on_signal, server->base);
    struct event *terminate = evsignal_new(server->base, SIGTERM, on_signal, server->base);
    int result = EXIT_FAILED;

    if (interrupt == NULL || terminate == NULL || event_add(interrupt, NULL) != 0 ||
        event_add(terminate, NULL) != 0) {
        (void)fprintf(stderr, "curfew faulty: %s\n", strerror(errno));
        goto out;
    }
    if (o->tls && faulty_tls_new(&o->tls_files, o->http2, &server->tls) != ST_OK)
        goto out;
    for (size_t i = 0; i < o->listeners; i++) {
        enum status status = faulty_listen(server, o->listen[i]);

        if (status != ST_OK) {
            result = status == ST_BAD ? EXIT_USAGE : EXIT_FAILED;
            goto out;
        }
    }
    if (event_base_dispatch(server->base) >= 0)
        result = EXIT_DONE;
out:
    faulty_listeners_close(server);
    faulty_h2_close_all(server);
    faulty_conn_close_all(server);
    SSL_CTX_free(server->tls);
    if (interrupt != NULL)
        event_free(interrupt);
    if (terminate != NULL)
        event_free(terminate);
    return result;
}

int faulty_main(int argc, char **argv)
{
    struct options options;
    struct faulty_server server = {0};
    int result = parse_options(argc, argv, &options);

    if (result != EXIT_DONE)
        return result;
    if (options.help) {
        (void)fputs(usage, stdout);
        faulty_behaviours_describe(stdout);
        return EXIT_DONE;
    }
    server.base = precise_base_new();
    if (server.base == NULL) {
        (void)fprintf(stderr, "curfew faulty: cannot make an event loop\n");
        return EXIT_FAILED;
    }
    faulty_work_init(&server.work, server.base);
    list_init(&server.conns);
    list_init(&server.h2s);
    server.speak_h2 = options.http2 ? faulty_h2_start : NULL;
    server.h2 = options.h2;
    server.proxy = (unsigned)options.proxy;
    server.proxy_behind = options.proxy_behind;
    server.h2.streams = (uint32_t)options.h2_streams;
    server.h2.window = (uint32_t)options.h2_window;
    list_init(&server.listeners);
    server.tls_stall = options.tls_stall;
    server.seed = options.seed;
    raise_descriptor_limit();
    (void)signal(SIGPIPE, SIG_IGN);
    result = serve(&server, &options);
    event_base_free(server.base);
    return result;
}
