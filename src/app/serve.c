#include "app/serve.h"

#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/reserve.h"
#include "app/config_file.h"
#include "app/event_log.h"
#include "app/version.h"
#include "proxy/proxy.h"
#include "runtime/listen.h"

static const char usage[] =
    "usage: curfew serve -c FILE\n"
    "\n"
    "Puts the calls to the upstreams that FILE describes under a deadline and a cap.\n"
    "SIGTERM or SIGINT ends it.\n"
    "\n"
    "  -c, --config FILE   the configuration; - is standard input\n"
    "  -h, --help          this text\n";

/* What lives between start and end. */
struct service {
    struct event_log log;
    struct snapshot *snapshot;
    struct proxy *proxy;
    struct event_base *base;
    struct event *signals[2];
    struct admin *admin;
};

/* One descriptor for each connection on both sides: take all that we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* without it, fewer connections are possible */
    }
}

/* Descriptors that a connection may take: the caller's, and the upstream's. Some are for everything else. */
#define DESCRIPTORS_PER_CONNECTION 2u
#define DESCRIPTORS_SPARE          256u

/*
 * The kernel grows a process's table of descriptors by doubling it, and every thread that opens one then waits for 10
 * to 30 ms: an instant that calls would see. So it is grown to what may be needed, before there are threads.
 */
static void grow_descriptor_table(const struct snapshot *snapshot)
{
    uint64_t wanted = (uint64_t)snapshot->limits.connections * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_SPARE;
    struct rlimit limit;
    int last;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    last = (int)(wanted < limit.rlim_cur ? wanted : limit.rlim_cur) - 1;
    last = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, last);
    if (last >= 0)
        close(last);
}

static void end_asked(evutil_socket_t number, short what, void *arg)
{
    struct service *service = arg;

    (void)what;
    event_log_put(&service->log, LOG_INFO, "signal %d: ending", (int)number);
    event_base_loopbreak(service->base);
}

/*
 * Its warnings say in other words what its functions return, and stderr may be a pipe that nobody reads: no worker has to
 * wait for that. After an error it ends the process.
 */
static void libevent_says(int severity, const char *text)
{
    if (severity == EVENT_LOG_ERR)
        fprintf(stderr, "curfew: error: libevent: %s\n", text);
}

/* The signals belong to the main thread; workers are made while they are blocked. */
static bool start_workers(struct service *service)
{
    sigset_t all, before;
    enum status status;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = proxy_start(service->proxy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status == ST_OK;
}

static bool watch_signals(struct service *service)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        service->signals[i] = evsignal_new(service->base, numbers[i], end_asked, service);
        if (service->signals[i] == NULL || event_add(service->signals[i], NULL) < 0)
            return false;
    }
    return true;
}

static void say_where(struct service *service)
{
    char block[256];

    for (uint32_t i = 0; i < service->proxy->doorstep_count; i++) {
        const struct doorstep *step = &service->proxy->doorsteps[i];
        struct text text = text_over(block, sizeof(block));

        listen_put_address(&text, step->address, step->fd);
        event_log_put(&service->log, LOG_INFO, "upstream %s listens on %.*s", step->upstream->name,
                      SPAN_FMT(text_span(&text)));
    }
    if (service->admin != NULL) {
        struct text text = text_over(block, sizeof(block));

        admin_put_address(service->admin, &text);
        event_log_put(&service->log, LOG_INFO, "admin listens on %.*s", SPAN_FMT(text_span(&text)));
    }
}

static bool open_service(struct service *service)
{
    char why[512] = "";

    service->proxy = proxy_new(service->snapshot, why, sizeof(why));
    if (service->proxy == NULL) {
        event_log_put(&service->log, LOG_ERROR, "%s", why);
        return false;
    }
    service->base = event_base_new();
    if (service->base == NULL || !watch_signals(service)) {
        event_log_put(&service->log, LOG_ERROR, "not enough memory or descriptors");
        return false;
    }
    if (service->snapshot->has_admin) {
        service->admin =
            admin_new(service->base, service->snapshot, service->proxy, curfew_version, why, sizeof(why));
        if (service->admin == NULL) {
            event_log_put(&service->log, LOG_ERROR, "%s", why);
            return false;
        }
    }
    return true;
}

static void close_service(struct service *service)
{
    if (service->proxy != NULL)
        proxy_stop(service->proxy);
    if (service->admin != NULL)
        admin_free(service->admin);
    for (size_t i = 0; i < 2; i++)
        if (service->signals[i] != NULL)
            event_free(service->signals[i]);
    if (service->base != NULL)
        event_base_free(service->base);
    if (service->proxy != NULL)
        proxy_free(service->proxy);
    snapshot_free(service->snapshot);
}

static int serve(const char *path)
{
    struct service service = {.log = {LOG_INFO}, .snapshot = config_file_load(path)};
    int result = EXIT_FAILURE;

    if (service.snapshot == NULL)
        return EXIT_FAILURE;
    service.log.level = service.snapshot->log.level;
    reserve_install();
    event_set_log_callback(libevent_says);
    raise_descriptor_limit();
    grow_descriptor_table(service.snapshot);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log that may not grow any more ends nothing: write says so */
    signal(SIGHUP, SIG_IGN);  /* a terminal that goes away does not take the calls with it */
    if (open_service(&service)) {
        if (start_workers(&service)) {
            say_where(&service);
            event_log_put(&service.log, LOG_INFO, "ready");
            reserve_open();
            event_base_dispatch(service.base);
            result = EXIT_SUCCESS;
        } else {
            event_log_put(&service.log, LOG_ERROR, "the workers can't be started");
        }
    }
    close_service(&service);
    return result;
}

int serve_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (path == NULL || optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    return serve(path);
}
