#include "app/serve.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/config_file.h"
#include "app/file_watch.h"
#include "app/lifecycle.h"
#include "app/reload.h"
#include "app/service.h"
#include "app/usage.h"
#include "app/version.h"
#include "app/watch.h"
#include "proxy/lifetime.h"
#include "runtime/journal.h"

static const struct usage usage = {
    "serve",
    "usage: curfew serve [[-c] FILE]\n"
    "\n"
    "Puts the calls to the upstreams that the configuration describes under a deadline and a cap.\n"
    "\n"
    "SIGTERM or SIGINT drains it and ends it: after `drain_delay` it takes no connection any more,\n"
    "calls in flight go on for as long as `drain` says; a second one ends it at once. SIGHUP loads it\n"
    "anew: if that is not sound, nothing changes. SIGUSR1 opens the access log anew, for who rotates it.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE   the configuration\n"
    "  -h, --help          this text\n"};

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

/*
 * Its warnings say in other words what its functions return, and stderr may be a pipe that nobody reads: no worker has
 * to wait for that. After an error it ends the process.
 */
static void libevent_says(int severity, const char *text)
{
    if (severity == EVENT_LOG_ERR)
        fprintf(stderr, "curfew: error: libevent: %s\n", text);
}

static bool give_up(struct service *service, const char *why)
{
    event_log_put(&service->log, LOG_ERROR, "%s", why);
    return false;
}

static void say(void *arg, const char *line)
{
    struct service *service = arg;

    event_log_put(&service->log, LOG_INFO, "%s", line);
}

static void say_of_fleet(void *arg, enum fleet_gravity gravity, const char *line)
{
    static const enum log_level levels[] = {
        [FLEET_SAYS] = LOG_INFO, [FLEET_WARNS] = LOG_WARN, [FLEET_FAILS] = LOG_ERROR};
    struct service *service = arg;

    event_log_put(&service->log, levels[gravity], "%s", line);
}

static void say_of_callers(void *arg, bool is_routine, const char *line)
{
    struct service *service = arg;

    event_log_put(&service->log, is_routine ? LOG_DEBUG : LOG_WARN, "%s", line);
}

/* Where the sockets of systemd and `listen` differ; without the memory for it, nothing is said. */
static void say_differences(struct service *service)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return;
    systemd_put_differences(out, &service->sockets, proxy_snapshot(service->proxy),
                            &service->proxy->listeners);
    if (fclose(out) == 0 && text != NULL)
        event_log_put_lines(LOG_WARN, text);
    free(text);
}

static int fd_of(const struct handed_socket *socket)
{
    return socket != NULL ? socket->fd : -1;
}

static bool open_service(struct service *service, struct snapshot *snapshot)
{
    struct proxy_ground ground = {.loop = &service->loop,
                                  .handed = service->sockets.list,
                                  .handed_count = service->sockets.count,
                                  .beat_every_ns = watch_rhythm_ns(),
                                  .say = say,
                                  .say_of_fleet = say_of_fleet,
                                  .say_of_callers = say_of_callers,
                                  .arg = service};
    char why[512] = "";

    systemd_take_admin(&service->sockets, snapshot);
    service->has_loop = loop_init(&service->loop, 0) == ST_OK;
    if (!service->has_loop || lifecycle_init(service) != ST_OK) {
        snapshot_free(snapshot);
        return give_up(service, "not enough memory or descriptors");
    }
    service->proxy = proxy_new(snapshot, &ground, why, sizeof(why));
    if (service->proxy == NULL ||
        !systemd_all_taken(&service->sockets, proxy_snapshot(service->proxy), why, sizeof(why)))
        return give_up(service, why);
    say_differences(service);
    if (!proxy_snapshot(service->proxy)->has_admin && !proxy_snapshot(service->proxy)->has_metrics)
        return true;
    service->admin_ground = (struct admin_ground){
        .loop = &service->loop,
        .proxy = service->proxy,
        .version = curfew_version,
        .handed_fd = fd_of(service->sockets.admin),
        .handed_metrics_fd = fd_of(service->sockets.metrics),
        .reload = reload_asked_by_admin,
        .arg = service,
    };
    service->admin = admin_new(&service->admin_ground, why, sizeof(why));
    return service->admin != NULL || give_up(service, why);
}

static void close_service(struct service *service)
{
    if (service->proxy != NULL)
        proxy_stop(service->proxy);
    reload_fini(service);
    if (service->admin != NULL)
        admin_free(service->admin);
    watch_free(service->watch);
    file_watch_free(service->file_watch);
    lifecycle_fini(service);
    if (service->proxy != NULL)
        proxy_free(service->proxy);
    if (service->has_loop) {
        mailbox_deliver(&service->loop.mailbox);
        loop_fini(&service->loop);
    }
    systemd_free_sockets(&service->sockets);
    event_log_flush(&service->log);
}

/* What is wrong or odd is said as `check` says it; in the journal, errors are found by their priority. */
static void say_of(const struct config_file *file, bool is_sound)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = journal_is_stderr() ? open_memstream(&text, &len) : NULL;

    config_file_put(out != NULL ? out : stderr, file);
    if (out != NULL && fclose(out) == 0 && text != NULL)
        event_log_put_lines(is_sound ? LOG_WARN : LOG_ERROR, text);
    free(text);
}

static struct snapshot *load(struct service *service)
{
    struct snapshot *snapshot;

    service->config = config_file_new(service->config_path);
    if (service->config == NULL)
        return NULL;
    snapshot = config_file_load(service->config);
    say_of(service->config, snapshot != NULL);
    return snapshot;
}

/* What the process needs before there are threads and sockets. */
static void prepare_process(const struct snapshot *snapshot)
{
    event_set_log_callback(libevent_says);
    raise_descriptor_limit();
    grow_descriptor_table(snapshot);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log that may not grow any more ends nothing: write says so */
    signal(SIGHUP, SIG_IGN);  /* until there is something to reload, or to open anew */
    signal(SIGUSR1, SIG_IGN);
}

/* Serves until a signal ends it. False: it could not, and that has been logged. */
static bool run(struct service *service)
{
    if (proxy_start(service->proxy) != ST_OK || (service->watch = watch_new(service)) == NULL ||
        (service->file_watch = file_watch_new(service, reload_ask)) == NULL)
        return give_up(service, "the workers can't be started");
    service_say_what(service);
    service_say_where(service);
    event_log_put(&service->log, LOG_INFO, "ready");
    systemd_ready();
    return loop_run(&service->loop) == ST_OK || give_up(service, "the main event loop has failed: ending");
}

static int serve(const char *path)
{
    struct service service = {.config_path = path};
    struct snapshot *snapshot;
    bool is_done = false;
    char why[512];

    event_log_init(&service.log);
    reload_init(&service);
    snapshot = load(&service);
    if (snapshot == NULL) {
        config_file_free(service.config);
        return EXIT_FAILURE;
    }
    service.log.level = snapshot->log.level;
    prepare_process(snapshot);
    if (systemd_take_sockets(&service.sockets, why, sizeof(why))) {
        is_done = open_service(&service, snapshot) && run(&service);
    } else {
        (void)give_up(&service, why);
        snapshot_free(snapshot);
    }
    close_service(&service);
    config_file_free(service.config);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
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

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'h': fputs(usage.text, stdout); return EXIT_SUCCESS;
        default: return usage_wrong_option(&usage, options, option, argv);
        }
    }
    path = usage_config(&usage, path, argv + optind, argc - optind);
    return path != NULL ? serve(path) : USAGE_WRONG;
}
