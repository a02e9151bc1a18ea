#include "app/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/respond.h"
#include "app/config_file.h"
#include "app/file_watch.h"
#include "app/service.h"
#include "app/watch.h"
#include "base/mem.h"
#include "config/address.h"
#include "proxy/reload.h"

/* Somebody who waits for the outcome. */
struct asker {
    struct list_node node;
    struct admin_request *request;
};

void reload_init(struct service *service)
{
    list_init(&service->asking);
    list_init(&service->next);
}

static void answer_all(struct list_node *askers, int status, const char *text)
{
    struct list_node *node;

    while ((node = list_take_front(askers)) != NULL) {
        struct asker *asker = CONTAINER_OF(node, struct asker, node);

        respond_text(asker->request, status, text);
        mem_free(asker);
    }
}

void reload_fini(struct service *service)
{
    answer_all(&service->asking, 503, "curfew is about to end\n");
    answer_all(&service->next, 503, "curfew is about to end\n");
}

/* Each line of a text of several. */
static void log_lines(struct service *service, enum log_level level, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        if (len != 0)
            event_log_put(&service->log, level, "reload: %.*s", (int)len, text);
        text += len + (text[len] != '\0');
    }
}

/* Is the listener, or that there is none, not what the configuration says now? */
static bool has_moved(const struct admin_listener *listener, bool is_wanted, const struct endpoint *address)
{
    return is_wanted != (listener != NULL) ||
           (listener != NULL && !endpoint_is_equal(address, &listener->address));
}

/* What a running process can't change; so that nobody thinks that it has. */
static void put_warnings(FILE *out, const struct service *service, const struct snapshot *snapshot)
{
    const struct snapshot *old = proxy_snapshot(service->proxy);

    if (snapshot->workers != old->workers)
        fprintf(out, "warning: workers: stays as it is until the next start\n");
    if (has_moved(service->admin ? admin_listener(service->admin) : NULL, snapshot->has_admin,
                  &snapshot->admin))
        fprintf(out, "warning: admin.listen: stays as it is until the next start\n");
    if (has_moved(service->admin ? admin_metrics_listener(service->admin) : NULL, snapshot->has_metrics,
                  &snapshot->metrics))
        fprintf(out, "warning: admin.metrics_listen: stays as it is until the next start\n");
}

static void begin(struct service *service);

static void end(struct service *service, bool is_done, const char *text)
{
    service->proxy->reloads[is_done ? RESULT_SUCCESS : RESULT_FAILURE]++;
    log_lines(service, is_done ? LOG_WARN : LOG_ERROR, text);
    if (is_done) {
        service->log.level = proxy_snapshot(service->proxy)->log.level;
        watch_renew(service->watch);
        event_log_put(&service->log, LOG_INFO, "reload: %s is in force", service->config_path);
        service_say_what(service);
        service_say_where(service);
    } else {
        event_log_put(&service->log, LOG_ERROR, "reload: failed, nothing has changed");
    }
    systemd_ready();
    service->reloading = false;
    file_watch_renew(service->file_watch);
    answer_all(&service->asking, is_done ? 200 : 422, text);
    if (!service->reload_again)
        return;
    service->reload_again = false;
    list_append_all(&service->asking, &service->next);
    begin(service);
}

/* What is said of a reload that goes well: but for the sockets, it is known before that is done. */
struct expectation {
    struct service *service;
    char *warnings;
};

/* Without the memory for more, what is known already has to do. */
static void add_idle_sockets(struct expectation *expected)
{
    struct service *service = expected->service;
    size_t len = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return;
    fputs(expected->warnings, out);
    systemd_put_differences(out, &service->sockets, proxy_snapshot(service->proxy),
                            &service->proxy->listeners);
    if (fclose(out) == 0 && text != NULL) {
        free(expected->warnings);
        expected->warnings = text;
    } else {
        free(text);
    }
}

static void done(void *arg, const char *why)
{
    struct expectation *expected = arg;
    char text[512];

    if (why == NULL) {
        add_idle_sockets(expected);
        end(expected->service, true, expected->warnings);
    } else {
        snprintf(text, sizeof(text), "%s\n", why);
        end(expected->service, false, text);
    }
    free(expected->warnings);
    mem_free(expected);
}

/* All that is wrong with the file, or odd for a running process, as one text that is free'd. */
static struct snapshot *load(struct service *service, char **text)
{
    size_t len = 0;
    FILE *out = open_memstream(text, &len);
    struct config_file *file;
    struct snapshot *snapshot;

    if (out == NULL) {
        *text = NULL;
        return NULL;
    }
    file = config_file_new(service->config_path);
    if (file != NULL)
        file->is_again = true;
    snapshot = file != NULL ? config_file_load(file) : NULL;
    if (file != NULL) {
        config_file_put(out, file);
        config_file_free(service->config);
        service->config = file;
    }
    if (snapshot != NULL)
        put_warnings(out, service, snapshot);
    if (fclose(out) == 0 && *text != NULL)
        return snapshot;
    snapshot_free(snapshot);
    *text = NULL;
    return NULL;
}

static void begin(struct service *service)
{
    struct expectation *expected = mem_alloc(sizeof(*expected));
    char *text = NULL;
    struct snapshot *snapshot;

    service->reloading = true;
    systemd_reloading();
    if (strcmp(service->config_path, "-") == 0) {
        end(service, false, "the configuration came from standard input, which can't be read again\n");
        mem_free(expected);
        return;
    }
    snapshot = expected != NULL ? load(service, &text) : NULL;
    if (snapshot == NULL) {
        end(service, false, text != NULL ? text : "not enough memory\n");
        free(text);
        mem_free(expected);
        return;
    }
    *expected = (struct expectation){service, text};
    proxy_reload(service->proxy, snapshot, done, expected);
}

void reload_ask(struct service *service)
{
    if (service->draining)
        event_log_put(&service->log, LOG_WARN, "reload: not while draining");
    else if (service->reloading)
        service->reload_again = true;
    else
        begin(service);
}

void reload_asked_by_admin(void *arg, struct admin_request *request)
{
    struct service *service = arg;
    struct asker *asker = service->draining ? NULL : mem_alloc(sizeof(*asker));

    if (asker == NULL) {
        respond_text(request, 503, service->draining ? "curfew is about to end\n" : "not enough memory\n");
        return;
    }
    list_init(&asker->node);
    asker->request = request;
    list_push_back(service->reloading ? &service->next : &service->asking, &asker->node);
    reload_ask(service);
}
