#include "app/explain.h"

#include <stdio.h>
#include <string.h>

#include "app/config_file.h"
#include "app/explain_forward.h"
#include "app/explain_print.h"
#include "app/output.h"
#include "app/usage.h"
#include "http/grpc.h"

static const struct usage usage = {
    "explain", "usage: curfew explain [OPTION]... [[-c] FILE] METHOD URL\n"
               "\n"
               "Says what a request is subject to: its upstream and route, the deadline and where it is\n"
               "written, the pool, the limits, the head that the API gets (values that are set are\n"
               "hidden), and what the caller gets when something goes wrong. Nothing is sent.\n"
               "\n"
               "URL is what a caller uses (http://127.0.0.1:8080/v1/charges), or the API's own; or a path\n"
               "alone, if there is one upstream or --upstream names one; or what a forward proxy is asked\n"
               "for: an URL, or HOST:PORT with CONNECT, whose addresses are looked up and judged.\n"
               "\n" USAGE_CONFIG "\n"
               "  -c, --config FILE     the configuration\n"
               "  -H, --header LINE     a field of the request, \"Name: value\"; as often as wanted\n"
               "  -u, --upstream NAME   the upstream that is called\n"
               "  -h, --help            this text\n"
               "\n"
               "Exit status: 0 it would become a call, 1 it would be refused, or the configuration is not\n"
               "sound, 2 wrong usage.\n"};

#define FIELDS_BYTES 65536

struct asking {
    const char *config, *upstream, *method, *url;
    char fields[FIELDS_BYTES]; /* field lines with their ends */
    struct text text;          /* over `fields` */
};

/* The request as it would come in; Host goes without saying. */
static struct span make_request(const struct asking *asking, struct span path, char *block, size_t cap)
{
    struct text text = text_over(block, cap);

    text_put(&text, span_of(asking->method));
    TEXT_LIT(&text, " ");
    text_put(&text, path);
    TEXT_LIT(&text, " HTTP/1.1\r\nHost: localhost\r\n");
    text_put(&text, text_span(&asking->text));
    TEXT_LIT(&text, "\r\n");
    return text.overflow ? (struct span){NULL, 0} : text_span(&text);
}

/* As the proxy takes a head. */
static void decide(struct explanation *e, struct span request, struct http1_head *head)
{
    e->head = head;
    e->refused = CAUSE_HEAD_TOO_LARGE;
    if (request.len <= e->snapshot->limits.request_head_bytes)
        e->refused = http1_parse_request(request, head, &e->detail);
    if (e->refused != CAUSE_NONE)
        return;
    e->grpc_type = grpc_type_of(head);
    policy_decide(&e->policy, e->target.upstream, head, 0, e->grpc_type.len != 0);
    e->refused = e->policy.refused;
    if (e->policy.detail != NULL)
        e->detail = e->policy.detail;
    for (uint32_t i = 0; e->grpc_type.len != 0 && i < head->field_count; i++)
        head->fields[i].nominated |= span_eq_nocase(head->fields[i].name, SPAN_LIT("grpc-timeout"));
}

static bool is_forward(const struct snapshot *snapshot, const char *name)
{
    for (uint32_t i = 0; name != NULL && i < snapshot->upstream_count; i++)
        if (strcmp(snapshot->upstreams[i].name, name) == 0)
            return snapshot->upstreams[i].forward != NULL;
    return false;
}

/* CONNECT goes to a forward proxy; another request does if that is named, or if nobody else leads there. */
static const char *find(const struct asking *asking, const struct snapshot *snapshot,
                        struct explain_target *target)
{
    const char *why, *url = asking->url, *name = asking->upstream;
    bool is_connect = strcmp(asking->method, "CONNECT") == 0 && url[0] != '/';

    if (is_forward(snapshot, name) || (is_connect && name == NULL))
        return explain_find_forward(snapshot, url, name, target);
    why = explain_find(snapshot, url, name, target);
    if (why == NULL || name != NULL || snapshot->forward_count == 0 || url[0] == '/')
        return why;
    return explain_find_forward(snapshot, url, NULL, target);
}

static int explain_with(const struct asking *asking, const struct snapshot *snapshot)
{
    static char block[2 * FIELDS_BYTES];
    static struct http1_field fields[HTTP1_FIELDS_IN(2 * FIELDS_BYTES)];
    static struct http1_head head = HTTP1_HEAD_OVER(fields);
    struct explanation e = {.snapshot = snapshot};
    const char *why = find(asking, snapshot, &e.target);
    struct span request;

    if (why) {
        fprintf(stderr, "curfew: %s: %s\n", asking->url, why);
        return 1;
    }
    request = make_request(asking, e.target.path, block, sizeof(block));
    if (request.len == 0) {
        fprintf(stderr, "curfew: the request is too long\n");
        return 1;
    }
    /* What is printed of a request that can't be parsed. */
    head.method = span_of(asking->method);
    head.path = e.target.path;
    head.takes_connect = e.target.upstream->forward != NULL;
    decide(&e, request, &head);
    if (e.target.upstream->forward != NULL)
        explain_forward_look(&e);
    if (!explain_print(&e)) {
        fprintf(stderr, "curfew: explain: out of memory\n");
        return 1;
    }
    return output_is_written() && e.refused == CAUSE_NONE ? 0 : 1;
}

static int explain(const struct asking *asking)
{
    struct snapshot *snapshot = config_file_get(asking->config);
    int result = snapshot ? explain_with(asking, snapshot) : 1;

    snapshot_free(snapshot);
    return result;
}

static void take_option(struct asking *asking, int option, const char *value)
{
    switch (option) {
    case 'c': asking->config = value; break;
    case 'u': asking->upstream = value; break;
    default:
        text_put(&asking->text, span_of(value));
        TEXT_LIT(&asking->text, "\r\n");
        break;
    }
}

/* METHOD and URL are the last arguments; before them there may be the configuration. */
static int take_arguments(struct asking *asking, char **arguments, int count)
{
    if (asking->text.overflow)
        return usage_wrong(&usage, "the header fields are longer than %d bytes", FIELDS_BYTES);
    if (count < 2)
        return usage_wrong(&usage, count == 0 ? "METHOD and URL are missing" : "METHOD or URL is missing");
    asking->method = arguments[count - 2];
    asking->url = arguments[count - 1];
    asking->config = usage_config(&usage, asking->config, arguments, count - 2);
    return asking->config != NULL ? 0 : USAGE_WRONG;
}

int explain_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"header", required_argument, NULL, 'H'},
        {"upstream", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct asking asking;
    int option, status;

    opterr = 0;
    asking.text = text_over(asking.fields, sizeof(asking.fields));
    while ((option = getopt_long(argc, argv, ":c:H:u:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage.text, stdout);
            return 0;
        }
        if (option == '?' || option == ':')
            return usage_wrong_option(&usage, options, option, argv);
        take_option(&asking, option, optarg);
    }
    status = take_arguments(&asking, argv + optind, argc - optind);
    return status == 0 ? explain(&asking) : status;
}
