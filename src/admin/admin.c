#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "admin/browser.h"
#include "admin/calls.h"
#include "admin/history.h"
#include "admin/config.h"
#include "admin/listener.h"
#include "admin/page.h"
#include "admin/pools.h"
#include "admin/upstreams.h"
#include "admin/respond.h"
#include "admin/scrapes.h"
#include "base/mem.h"
#include "base/number.h"

#define HANGS_AFTER_NS (5 * NS_PER_S)

struct admin {
    struct loop *loop;
    struct proxy *proxy;
    const struct admin_ground *ground;
    struct admin_listener listener, metrics_listener;
    struct scrapes scrapes;
    struct calls calls;
    struct admin_history history;
};

/* -------------------------------------------------------------------------------------- resources */

#define READ_ONLY "GET, HEAD"
#define CALL_PATH "/calls/"
#define PAGE_PATH "/page/"

static void respond_root(struct admin *admin, struct admin_request *request);

static void respond_metrics(struct admin *admin, struct admin_request *request)
{
    scrapes_respond(&admin->scrapes, request);
}

static void respond_durations(struct admin *admin, struct admin_request *request)
{
    scrapes_respond_durations(&admin->scrapes, request);
}

static void respond_upstreams(struct admin *admin, struct admin_request *request)
{
    upstreams_respond(request, admin->proxy);
}

static void respond_pools(struct admin *admin, struct admin_request *request)
{
    pools_respond(request, admin->proxy);
}

static void respond_config(struct admin *admin, struct admin_request *request)
{
    config_respond(request, admin->proxy, admin_listener(admin), admin_metrics_listener(admin));
}

static void respond_word(struct admin_request *request, int status, struct span word)
{
    respond_fixed(request, status, "text/plain; charset=utf-8", word);
}

/* A loop that turns speaks within milliseconds of the second's end. */
static void respond_healthz(struct admin *admin, struct admin_request *request)
{
    if (heartbeat_overdue_ns(&admin->proxy->heartbeat) < HANGS_AFTER_NS)
        respond_word(request, 200, SPAN_LIT("ok\n"));
    else
        respond_word(request, 503, SPAN_LIT("a worker hangs\n"));
}

static void respond_readyz(struct admin *admin, struct admin_request *request)
{
    if (proxy_is_ready(admin->proxy))
        respond_word(request, 200, SPAN_LIT("ready\n"));
    else
        respond_word(request, 503, SPAN_LIT("not ready\n"));
}

static void respond_calls(struct admin *admin, struct admin_request *request)
{
    calls_respond(&admin->calls, request);
}

static void respond_cut(struct admin *admin, struct admin_request *request)
{
    calls_respond_cut(&admin->calls, request, request->path + strlen(CALL_PATH));
}

static void respond_reload(struct admin *admin, struct admin_request *request)
{
    admin->ground->reload(admin->ground->arg, request);
}

static void respond_history(struct admin *admin, struct admin_request *request)
{
    admin_history_respond_history(&admin->history, request);
}

static void respond_stuck(struct admin *admin, struct admin_request *request)
{
    admin_history_respond_stuck(&admin->history, request);
}

static void respond_file(struct admin *admin, struct admin_request *request)
{
    enum asset asset;

    (void)admin;
    if (asset_find(request->path + strlen(PAGE_PATH), &asset))
        page_respond(request, asset);
    else
        respond_problem(request, 404, "The page has no such file.");
}

/*
 * A last segment in capitals stands for any. Those that act take their method alone, all others GET and HEAD. What the
 * list does not name is a part of the page.
 */
static const struct resource {
    const char *path;
    const char *what;
    void (*respond)(struct admin *admin, struct admin_request *request);
    enum http1_method acts;
    const char *allow;
    bool is_for_all; /* by admin.metrics_listen, too */
} resources[] = {
    {"/", "in a browser: a page that shows all this; else this list", respond_root, 0, READ_ONLY, false},
    {"/metrics", "counters, gauges and histograms in Prometheus text format", respond_metrics, 0, READ_ONLY,
     true},
    {"/calls", "calls in flight, least left first (JSON; ?older=1s&upstream=NAME&phase=wait&limit=100)",
     respond_calls, 0, READ_ONLY, false},
    {CALL_PATH "ID", "DELETE: cuts the call", respond_cut, HTTP1_DELETE, "DELETE", false},
    {"/history", "the last 15 minutes by second (JSON; ?since=SECOND&step=SECONDS)", respond_history, 0,
     READ_ONLY, false},
    {"/stuck", "the calls that got stuck last, and where their time went (JSON)", respond_stuck, 0, READ_ONLY,
     false},
    {"/pools", "the pools: permits held, waiting, acquired, released (JSON)", respond_pools, 0, READ_ONLY,
     false},
    {"/upstreams", "the upstreams' breakers: open or not, and until when (JSON)", respond_upstreams, 0,
     READ_ONLY, false},
    {"/config", "the configuration in force, defaults filled in, secrets left out (JSON)", respond_config, 0,
     READ_ONLY, false},
    {"/durations", "how long calls took, by route, for `curfew advise` (JSON)", respond_durations, 0,
     READ_ONLY, false},
    {"/healthz", "200 while every worker turns, 503 when one has hung for 5 s", respond_healthz, 0, READ_ONLY,
     true},
    {"/readyz", "200 while curfew takes calls, else 503", respond_readyz, 0, READ_ONLY, true},
    {"/reload", "POST: loads the configuration anew", respond_reload, HTTP1_POST, "POST", false},
    {PAGE_PATH "FILE", NULL, respond_file, 0, READ_ONLY, false},
};
#define RESOURCE_COUNT (sizeof(resources) / sizeof(resources[0]))

static void respond_list(struct admin_request *request)
{
    char block[2048];
    struct text list = text_over(block, sizeof(block) - 1);

    for (size_t i = 0; i < RESOURCE_COUNT && resources[i].what != NULL; i++)
        text_printf(&list, "%-11s %s\n", resources[i].path, resources[i].what);
    block[list.len] = '\0';
    request_add_line(request, "Vary", "Accept");
    respond_text(request, 200, block);
}

static void respond_root(struct admin *admin, struct admin_request *request)
{
    (void)admin;
    if (page_is_wanted(request))
        page_respond(request, ASSET_INDEX);
    else
        respond_list(request);
}

static bool is_path_of(const struct resource *resource, const char *path)
{
    const char *last = strrchr(resource->path, '/') + 1;

    if (last[0] >= 'A' && last[0] <= 'Z')
        return strncmp(path, resource->path, (size_t)(last - resource->path)) == 0;
    return strcmp(path, resource->path) == 0;
}

static const struct resource *find_resource(const char *path)
{
    for (size_t i = 0; path && i < RESOURCE_COUNT; i++)
        if (is_path_of(&resources[i], path))
            return &resources[i];
    return NULL;
}

static bool takes(const struct resource *resource, enum http1_method method)
{
    if (resource->acts != 0)
        return method == resource->acts;
    return method == HTTP1_GET || method == HTTP1_HEAD;
}

static void refuse_method(const struct resource *resource, struct admin_request *request)
{
    char detail[64];

    request_add_line(request, "Allow", resource->allow);
    if (resource->acts != 0)
        snprintf(detail, sizeof(detail), "This does something: it takes %s.", resource->allow);
    else
        snprintf(detail, sizeof(detail), "This can only be read, by GET or HEAD.");
    respond_problem(request, 405, detail);
}

static enum browser_use browser_use_of(const struct resource *resource)
{
    if (resource->acts == 0)
        return BROWSER_READS;
    return resource->acts == HTTP1_DELETE ? BROWSER_ACTS : BROWSER_MUST_NOT;
}

static void answer(struct admin *admin, const struct admin_listener *listener, struct admin_request *request,
                   const struct resource *resource)
{
    const char *refusal;
    int status;

    if (!takes(resource, request->method))
        refuse_method(resource, request);
    else if ((refusal = browser_refusal(request, &listener->address, browser_use_of(resource), &status)) !=
             NULL)
        respond_problem(request, status, refusal);
    else
        resource->respond(admin, request);
}

static void refuse(struct admin_request *request)
{
    respond_problem(request, cause_status(request->refused), request->why);
}

static void request_came(struct admin_request *request, void *arg)
{
    struct admin *admin = arg;
    const struct resource *resource = find_resource(request->path);

    if (request->refused != CAUSE_NONE)
        refuse(request);
    else if (resource)
        answer(admin, &admin->listener, request, resource);
    else
        respond_problem(request, 404, "There is no such page here. GET / lists what there is.");
}

/* By admin.metrics_listen, which anybody may reach: it tells what a monitor and a probe want to know, and no more. */
static void powerless_request_came(struct admin_request *request, void *arg)
{
    struct admin *admin = arg;
    const struct resource *resource = find_resource(request->path);

    if (request->refused != CAUSE_NONE)
        refuse(request);
    else if (resource && resource->is_for_all)
        answer(admin, &admin->metrics_listener, request, resource);
    else
        respond_problem(request, 404, "Here are /metrics, /healthz and /readyz, and nothing else.");
}

/* ---------------------------------------------------------------------------------- coming, going */

static void open_rooms(struct admin *admin)
{
    scrapes_init(&admin->scrapes);
    calls_init(&admin->calls);
    admin_history_init(&admin->history);
}

static void close_rooms(struct admin *admin)
{
    scrapes_fini(&admin->scrapes);
    calls_fini(&admin->calls);
    admin_history_fini(&admin->history);
}

static enum status open_listeners(struct admin *admin, char *why, size_t why_cap)
{
    const struct admin_ground *ground = admin->ground;
    const struct snapshot *snapshot = proxy_snapshot(ground->proxy);
    enum status status = ST_OK;

    if (snapshot->has_admin)
        status = admin_listener_open(&admin->listener, admin->loop, &snapshot->admin, ground->handed_fd,
                                     request_came, admin, why, why_cap);
    if (status == ST_OK && snapshot->has_metrics)
        status = admin_listener_open(&admin->metrics_listener, admin->loop, &snapshot->metrics,
                                     ground->handed_metrics_fd, powerless_request_came, admin, why, why_cap);
    if (status != ST_OK)
        admin_listener_close(&admin->listener);
    return status;
}

struct admin *admin_new(const struct admin_ground *ground, char *why, size_t why_cap)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));

    snprintf(why, why_cap, "admin: out of memory");
    if (!admin)
        return NULL;
    *admin = (struct admin){.loop = ground->loop, .proxy = ground->proxy, .ground = ground};
    admin->scrapes =
        (struct scrapes){.loop = ground->loop, .proxy = ground->proxy, .version = ground->version};
    admin->calls = (struct calls){.loop = ground->loop, .proxy = ground->proxy};
    admin->history = (struct admin_history){.proxy = ground->proxy, .version = ground->version};
    open_rooms(admin);
    if (open_listeners(admin, why, why_cap) == ST_OK)
        return admin;
    close_rooms(admin);
    mem_free(admin);
    return NULL;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    close_rooms(admin);
    admin_listener_close(&admin->listener);
    admin_listener_close(&admin->metrics_listener);
    mem_free(admin);
}

const struct admin_listener *admin_listener(const struct admin *admin)
{
    return admin->listener.is_open ? &admin->listener : NULL;
}

const struct admin_listener *admin_metrics_listener(const struct admin *admin)
{
    return admin->metrics_listener.is_open ? &admin->metrics_listener : NULL;
}
