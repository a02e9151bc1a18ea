#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/load.h"
#include "config/yaml_tree.h"

static char *read_file(void *arg, const char *path, size_t *len, const char **why)
{
    *len = strlen(path);
    return mem_dup(path, *len);
}

static const struct config_files files = {.read = read_file};

static const char full[] =
    "workers: 2\n"
    "admin: {listen: 'unix:/run/a.sock'}\n"
    "log: {level: warn, access: /var/log/a}\n"
    "drain: 10s\n"
    "limits: {connections: 7, request_head: 16KiB, response_head: 32KiB, request_head_timeout: 3s, idle_timeout: 4s}\n"
    "defaults:\n"
    "  deadline: 3s\n"
    "  timeouts: {connect: 700ms, idle: 2s, begin: 4s, min_rate: {bytes: 2KiB}}\n"
    "  pool: {queue: 9, queue_timeout: 1s}\n"
    "  keepalive: {max_idle: 3}\n"
    "  addresses: {stagger: 10ms, remember: 0s}\n"
    "  tls: {min_version: 1.3}\n"
    "  headers: {set: {X-A: default, X-B: default}, remove: [X-C], forwarded: rfc7239}\n"
    "pools:\n"
    "  reports: {size: 5, queue: 20}\n"
    "upstreams:\n"
    "  payments:\n"
    "    listen: [127.0.0.1:8080, '[::1]:8080', 'unix:/run/p.sock']\n"
    "    url: https://api.example.com:8443/v2/\n"
    "    timeouts: {connect: 500ms, idle: none}\n"
    "    pool: {size: 10}\n"
    "    caller_deadline: {headers: [X-T, grpc-timeout], forward: X-Left}\n"
    "    tls: {ca_file: /ca, cert_file: /cert, key_file: /key}\n"
    "    headers: {set: {x-b: '  own ', Authorization: {file: /token}}, remove: [Cookie, X-T, Via], via: true, forwarded: none, location: rewrite}\n"
    "    routes:\n"
    "      - {path: /v1/reports/, methods: [POST, PUT], deadline: 30s, pool: reports}\n"
    "      - {path: /v1, timeouts: {first_byte: 9s, min_rate: {per: 3s}}}\n"
    "      - {path: /v1/reports, methods: [GET], pool: {size: 2}, timeouts: {begin: none, min_rate: none}}\n"
    "      - {path: /v1/reports, methods: [HEAD], pool: {size: 3}}\n"
    "  plain:\n"
    "    listen: localhost:0\n"
    "    url: http://[::1]\n"
    "    pool: reports\n"
    "    headers: {set: {Host: other}}\n";

static struct snapshot *load(const char *bytes)
{
    static struct config_errors errors;
    struct snapshot *snapshot = NULL;
    enum status status = config_load(span_of(bytes), &files, &snapshot, &errors);

    if (status != ST_OK)
        fail_msg("status %d, %s", (int)status, errors.list[0].text);
    return snapshot;
}

static void assert_span(struct span s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.ptr, expected, s.len);
}

static void what_is_written_is_what_counts(void **state)
{
    struct snapshot *s = load(full);

    assert_int_equal(s->workers, 2);
    assert_true(s->has_admin);
    assert_int_equal(s->admin.family, ENDPOINT_UNIX);
    assert_string_equal(s->admin.path, "/run/a.sock");
    assert_int_equal(s->log.level, LOG_WARN);
    assert_int_equal(s->log.access, ACCESS_FILE);
    assert_string_equal(s->log.access_path, "/var/log/a");
    assert_int_equal(s->drain_ns, 10 * NS_PER_S);
    assert_int_equal(s->limits.connections, 7);
    assert_int_equal(s->limits.request_head_bytes, 16384);
    assert_int_equal(s->limits.response_head_bytes, 32768);
    assert_int_equal(s->limits.request_head_timeout_ns, 3 * NS_PER_S);
    assert_int_equal(s->limits.idle_timeout_ns, 4 * NS_PER_S);
    assert_int_equal(s->upstream_count, 2);
    assert_int_equal(s->route_count, 6);
    snapshot_free(s);
}

static void listeners_are_ports_addresses_and_maps(void **state)
{
    struct snapshot *s =
        load("admin: {listen: 9600}\n"
             "upstreams: {p: {url: http://a, listen: [8080, {address: 'unix:/x', mode: 0660, group: "
             "50}]}, q: {url: http://a, listen: {address: 'unix:/y'}, routes: {path: /z}}}\n");
    const struct endpoint *listen = s->upstreams[0].listen;

    assert_string_equal(s->admin.text, "127.0.0.1:9600");
    assert_int_equal(s->upstreams[0].listen_count, 2);
    assert_string_equal(listen[0].text, "127.0.0.1:8080");
    assert_int_equal(listen[0].port, 8080);
    assert_false(listen[0].has_mode || listen[0].has_group);
    assert_string_equal(listen[1].path, "/x");
    assert_true(listen[1].has_mode && listen[1].has_group);
    assert_int_equal(listen[1].mode, 0660);
    assert_int_equal(listen[1].group, 50);
    assert_int_equal(s->upstreams[1].listen_count, 1);
    assert_string_equal(s->upstreams[1].listen[0].path, "/y");
    assert_int_equal(s->upstreams[1].route_count, 1);
    snapshot_free(s);
}

static void metrics_may_have_a_listener_of_their_own(void **state)
{
    struct snapshot *s = load("admin: {metrics_listen: 0.0.0.0:9601}\n"
                              "upstreams: {p: {url: http://a, listen: 1}}\n");

    assert_false(s->has_admin);
    assert_true(s->has_metrics);
    assert_string_equal(s->metrics.text, "0.0.0.0:9601");
    snapshot_free(s);
    s = load("admin: {listen: 9600, metrics_listen: {address: 'unix:/m', mode: 0666}}\n"
             "upstreams: {p: {url: http://a, listen: 1}}\n");
    assert_true(s->has_admin && s->has_metrics);
    assert_string_equal(s->metrics.path, "/m");
    assert_int_equal(s->metrics.mode, 0666);
    snapshot_free(s);
}

static void a_value_is_a_prefix_and_what_a_file_holds(void **state)
{
    struct snapshot *s =
        load("upstreams: {p: {url: http://a, listen: 1, headers: {set: {A: {file: /f, prefix: 'Bearer '}, "
             "B: {file: ' /f ', prefix: ''}, C: '${A:-x}$$'}}}}\n");

    assert_span(s->upstreams[0].rules.set_lines, "A: Bearer /f\r\nB: /f\r\nC: x$\r\n");
    snapshot_free(s);
}

static void what_is_not_written_has_its_default(void **state)
{
    struct snapshot *s = load("upstreams: {p: {listen: 127.0.0.1:1, url: https://a}}\n");
    const struct upstream_config *u = &s->upstreams[0];

    assert_int_equal(s->workers, 0);
    assert_false(s->has_admin);
    assert_int_equal(s->log.level, LOG_INFO);
    assert_int_equal(s->log.access, ACCESS_STDOUT);
    assert_int_equal(s->limits.connections, 10000);
    assert_int_equal(s->pool_count, 1);
    assert_string_equal(s->pools[0].name, "p");
    assert_int_equal(s->pools[0].size, 50);
    assert_int_equal(s->pools[0].queue_size, 100);
    assert_int_equal(s->pools[0].queue_timeout_ns, NS_NEVER);
    assert_int_equal(u->default_route.deadline_ns, 5 * NS_PER_S);
    assert_int_equal(u->default_route.ceiling_ns, NS_NEVER);
    assert_int_equal(u->default_route.connect_ns, NS_NEVER);
    assert_int_equal(u->caller_deadline.header_count, 0);
    assert_int_equal(u->caller_deadline.forward.len, 0);
    assert_int_equal(u->keepalive.max_idle, 64);
    assert_int_equal(u->keepalive.idle_timeout_ns, 30 * NS_PER_S);
    assert_int_equal(u->keepalive.max_age_ns, 600 * NS_PER_S);
    assert_int_equal(u->origin.stagger_ns, 250 * NS_PER_MS);
    assert_int_equal(u->origin.remember_ns, 600 * NS_PER_S);
    assert_true(u->tls.enabled);
    assert_null(u->tls.spec.ca_file);
    assert_null(u->tls.spec.cert_file);
    assert_string_equal(u->tls.spec.server_name, "a");
    assert_false(u->tls.spec.renegotiate);
    assert_int_equal(u->tls.spec.min_version, 0x0303);
    assert_int_equal(u->rules.set_lines.len, 0);
    assert_int_equal(u->rules.dropped_count, 0);
    assert_span(u->rules.host, "a");
    assert_span(u->rules.base_path, "");
    snapshot_free(s);
}

static void traces_and_timings_are_an_upstreams_or_the_defaults(void **state)
{
    struct snapshot *s =
        load("defaults: {trace: true, headers: {remove: [TRACEPARENT]}}\n"
             "upstreams:\n"
             "  a: {listen: 127.0.0.1:1, url: http://a, server_timing: true}\n"
             "  b: {listen: 127.0.0.1:2, url: http://a, trace: false, headers: {remove: [tracestate]}}\n"
             "  c: {listen: 127.0.0.1:3, url: http://a, trace: false, headers: {set: {Traceparent: x}}}\n");
    const struct upstream_config *u = s->upstreams;

    assert_true(u[0].trace && u[0].hides_trace && u[0].server_timing);
    assert_true(!u[1].trace && !u[1].hides_trace && !u[1].server_timing);
    assert_true(!u[2].trace && u[2].hides_trace);
    snapshot_free(s);
}

static void an_upstream_has_its_addresses_and_its_url(void **state)
{
    struct snapshot *s = load(full);
    const struct upstream_config *p = &s->upstreams[0], *q = &s->upstreams[1];

    assert_string_equal(p->name, "payments");
    assert_int_equal(p->listen_count, 3);
    assert_int_equal(p->listen[0].port, 8080);
    assert_int_equal(p->listen[1].family, ENDPOINT_IPV6);
    assert_string_equal(p->listen[2].path, "/run/p.sock");
    assert_string_equal(p->origin.host, "api.example.com");
    assert_int_equal(p->origin.port, 8443);
    assert_false(p->origin.host_is_ip);
    assert_span(p->rules.host, "api.example.com:8443");
    assert_span(p->rules.base_path, "/v2");

    assert_int_equal(q->index, 1);
    assert_int_equal(q->listen_count, 1);
    assert_int_equal(q->listen[0].port, 0);
    assert_string_equal(q->origin.host, "::1");
    assert_int_equal(q->origin.port, 80);
    assert_true(q->origin.host_is_ip);
    assert_int_equal(q->origin.ip.family, ENDPOINT_IPV6);
    assert_int_equal(q->origin.ip.ip[15], 1);
    assert_int_equal(q->origin.ip.port, 80);
    assert_false(q->tls.enabled);
    assert_span(q->rules.host, "other");
    snapshot_free(s);
}

static void defaults_are_merged_key_by_key(void **state)
{
    struct snapshot *s = load(full);
    const struct upstream_config *p = &s->upstreams[0];

    assert_int_equal(p->default_route.deadline_ns, 3 * NS_PER_S);
    assert_int_equal(p->default_route.connect_ns, 500 * NS_PER_MS);
    assert_int_equal(p->default_route.idle_ns, NS_NEVER);
    assert_int_equal(s->upstreams[1].default_route.idle_ns, 2 * NS_PER_S);
    assert_int_equal(p->keepalive.max_idle, 3);
    assert_int_equal(p->origin.stagger_ns, 10 * NS_PER_MS);
    assert_int_equal(p->origin.remember_ns, 0);
    assert_int_equal(p->tls.spec.min_version, 0x0304);
    assert_string_equal(p->tls.spec.ca_file, "/ca");
    assert_string_equal(p->tls.spec.cert_file, "/cert");
    assert_string_equal(p->tls.spec.key_file, "/key");
    snapshot_free(s);
}

static void pools_are_shared_or_own(void **state)
{
    struct snapshot *s = load(full);
    const struct upstream_config *p = &s->upstreams[0];

    assert_int_equal(s->pool_count, 4);
    assert_string_equal(s->pools[0].name, "reports");
    assert_int_equal(s->pools[0].size, 5);
    assert_int_equal(s->pools[0].queue_size, 20);
    assert_int_equal(s->pools[0].queue_timeout_ns, NS_NEVER);
    assert_string_equal(s->pools[1].name, "payments");
    assert_int_equal(s->pools[1].size, 10);
    assert_int_equal(s->pools[1].queue_size, 9);
    assert_int_equal(s->pools[1].queue_timeout_ns, NS_PER_S);
    assert_string_equal(s->pools[2].name, "payments/v1/reports");
    assert_int_equal(s->pools[2].size, 2);
    assert_int_equal(s->pools[2].queue_size, 9);
    assert_string_equal(s->pools[3].name, "payments/v1/reports:HEAD");

    assert_int_equal(p->default_route.pool, 1);
    assert_int_equal(p->routes[0].pool, 0);
    assert_int_equal(p->routes[1].pool, 1);
    assert_int_equal(p->routes[2].pool, 2);
    assert_int_equal(p->routes[3].pool, 3);
    assert_int_equal(s->upstreams[1].default_route.pool, 0);
    snapshot_free(s);
}

static void routes_have_labels_indexes_and_policies(void **state)
{
    struct snapshot *s = load(full);
    const struct upstream_config *p = &s->upstreams[0];

    assert_int_equal(p->route_count, 4);
    assert_string_equal(p->default_route.name, "default");
    assert_int_equal(p->default_route.index, 0);
    assert_string_equal(p->routes[0].name, "POST,PUT /v1/reports");
    assert_int_equal(p->routes[0].index, 1);
    assert_int_equal(p->routes[0].deadline_ns, 30 * NS_PER_S);
    assert_int_equal(p->routes[0].connect_ns, 500 * NS_PER_MS);
    assert_string_equal(p->routes[1].name, "/v1");
    assert_int_equal(p->routes[1].deadline_ns, 3 * NS_PER_S);
    assert_int_equal(p->routes[1].first_byte_ns, 9 * NS_PER_S);
    assert_int_equal(p->routes[0].first_byte_ns, NS_NEVER);
    assert_int_equal(p->routes[0].begin_ns, 4 * NS_PER_S);
    assert_int_equal(p->routes[0].min_rate.bytes, 2048);
    assert_int_equal(p->routes[0].min_rate.per_ns, 10 * NS_PER_S);
    assert_int_equal(p->routes[1].min_rate.bytes, 2048);
    assert_int_equal(p->routes[1].min_rate.per_ns, 3 * NS_PER_S);
    assert_int_equal(p->routes[2].begin_ns, NS_NEVER);
    assert_int_equal(p->routes[2].min_rate.bytes, 0);
    assert_int_equal(p->routes[3].index, 4);
    assert_int_equal(s->upstreams[1].default_route.index, 5);
    snapshot_free(s);
}

static const struct route_config *find(const struct upstream_config *u, const char *path, const char *method)
{
    return snapshot_route(
        u, route_find(u->route_entries, u->route_count, span_of(path), span_of(method), UINT32_MAX));
}

static void a_request_finds_its_route(void **state)
{
    struct snapshot *s = load(full);
    const struct upstream_config *p = &s->upstreams[0];

    assert_string_equal(find(p, "/v1/reports/7?x=1", "PUT")->name, "POST,PUT /v1/reports");
    assert_string_equal(find(p, "/v1/reports", "GET")->name, "GET /v1/reports");
    assert_string_equal(find(p, "/v1/reports", "DELETE")->name, "/v1");
    assert_string_equal(find(p, "/v12", "GET")->name, "default");
    assert_string_equal(find(&s->upstreams[1], "/v1", "GET")->name, "default");
    snapshot_free(s);
}

static bool drops(const struct forward_rules *rules, const char *name)
{
    return forward_rules_drop(rules, span_of(name));
}

static void fields_are_set_and_dropped(void **state)
{
    struct snapshot *s = load(full);
    const struct forward_rules *p = &s->upstreams[0].rules, *q = &s->upstreams[1].rules;

    assert_span(p->set_lines, "X-A: default\r\nx-b: own\r\nAuthorization: /token\r\n");
    assert_true(drops(p, "X-A") && drops(p, "X-B") && drops(p, "Authorization"));
    assert_true(drops(p, "Cookie") && drops(p, "X-T") && drops(p, "grpc-timeout") && drops(p, "X-Left"));
    /* A list replaces the one it inherits, and X-T is named twice. */
    assert_false(drops(p, "X-C"));
    assert_true(drops(p, "Via") && p->via && !q->via);
    assert_int_equal(p->tells, FORWARD_TELLS_NOTHING);
    assert_true(p->rewrites_location && p->is_https && !q->rewrites_location && !q->is_https);
    assert_span(p->origin, "api.example.com:8443");
    assert_span(q->origin, "[::1]");
    assert_int_equal(q->tells, FORWARD_TELLS_RFC7239);
    assert_int_equal(p->dropped_count, 8);
    assert_int_equal(s->upstreams[0].caller_deadline.header_count, 2);
    assert_span(s->upstreams[0].caller_deadline.headers[1], "grpc-timeout");
    assert_span(s->upstreams[0].caller_deadline.forward, "X-Left");

    assert_span(q->set_lines, "X-A: default\r\nX-B: default\r\n");
    assert_true(drops(q, "X-C"));
    assert_false(drops(q, "Host"));
    snapshot_free(s);
}

static bool fail_at_zero(void *arg, size_t size)
{
    int *left = arg;

    return (*left)-- == 0;
}

/* Nothing leaks whichever allocation fails (the sanitizers look), and the first that does not fail is the end. */
static void no_memory_is_no_snapshot(void **state)
{
    static struct config_errors errors;
    enum status status = ST_NOMEM;
    int n;

    for (n = 0; status == ST_NOMEM && n < 10000; n++) {
        struct snapshot *snapshot = NULL;
        int left = n;

        mem_set_fault(fail_at_zero, &left);
        status = config_load(span_of(full), &files, &snapshot, &errors);
        mem_set_fault(NULL, NULL);
        if (status == ST_NOMEM)
            assert_null(snapshot);
        else
            snapshot_free(snapshot);
    }
    assert_int_equal(status, ST_OK);
    assert_in_range(n, 100, 9999);
}

static void a_file_cut_or_changed_anywhere_does_no_harm(void **state)
{
    static struct config_errors errors;
    static const char changes[] = {'\n', '{', '}', '[', ':', ' ', '"', '-', 'x', '\0'};
    char bytes[sizeof(full)];

    for (size_t at = 0; at < sizeof(full); at++) {
        for (size_t i = 0; i < sizeof(changes); i++) {
            struct snapshot *snapshot = NULL;
            enum status status;

            memcpy(bytes, full, sizeof(full));
            bytes[at] = changes[i];
            status =
                config_load((struct span){bytes, i == 0 ? at : sizeof(full) - 1}, &files, &snapshot, &errors);
            assert_true(status == (errors.count == 0 ? ST_OK : ST_BAD));
            if (status == ST_OK)
                snapshot_free(snapshot);
        }
    }
}

static void observing_is_the_upstreams_and_gives_each_route_its_ceiling(void **state)
{
    struct snapshot *s =
        load("defaults: {observe: true}\n"
             "upstreams:\n"
             "  a: {listen: 127.0.0.1:1, url: http://a, deadline: 2s, observe_ceiling: 10s,\n"
             "      routes: [{path: /slow, deadline: 20s}, {path: /x}]}\n"
             "  b: {listen: 127.0.0.1:2, url: http://b, observe: false, observe_ceiling: 10s}\n"
             "  c: {listen: 127.0.0.1:3, url: http://c}\n");
    const struct upstream_config *a = &s->upstreams[0], *c = &s->upstreams[2];

    assert_int_equal(a->default_route.ceiling_ns, 10 * NS_PER_S);
    assert_int_equal(route_longest_ns(&a->default_route), 10 * NS_PER_S);
    assert_int_equal(route_longest_ns(&a->routes[0]), 20 * NS_PER_S);
    assert_int_equal(s->upstreams[1].default_route.ceiling_ns, NS_NEVER);
    assert_int_equal(route_longest_ns(&s->upstreams[1].default_route), 5 * NS_PER_S);
    assert_int_equal(c->default_route.ceiling_ns, 60 * NS_PER_S);
    assert_string_equal(c->default_route.at.observe->path, "defaults.observe");
    assert_true(route_has_same_limits(&a->default_route, &a->routes[1]));
    assert_false(route_has_same_limits(&a->default_route, &a->routes[0]));
    assert_false(route_has_same_limits(&c->default_route, &s->upstreams[1].default_route));
    snapshot_free(s);
}

static void streams_are_off_unless_written(void **state)
{
    struct snapshot *s = load(full);

    assert_null(s->upstreams[0].default_route.streams);
    assert_int_equal(route_longest_deadline_ns(&s->upstreams[0].default_route), 3 * NS_PER_S);
    snapshot_free(s);
}

/* By runtime/tcp, what is silent for longer than a call may take is given up. */
static void what_an_origin_allows_for_counts_tunnels_also_by_way_of_a_proxy(void **state)
{
    struct snapshot *s = load("forward:\n"
                              "  a:\n"
                              "    listen: 127.0.0.1:1\n"
                              "    deadline: 5s\n"
                              "    proxy: http://proxy.corp:3128\n"
                              "    tunnel: {lifetime: 2h}\n"
                              "    destinations:\n"
                              "      - {name: x, hosts: ['x.test'], tunnel: {lifetime: 3h}}\n"
                              "  b:\n"
                              "    listen: 127.0.0.1:2\n"
                              "    deadline: 5s\n"
                              "    tunnel: {lifetime: 1s}\n"
                              "    destinations: [{name: x, hosts: ['x.test']}]\n");

    (void)state;
    assert_int_equal(s->upstreams[0].origin.longest_ns, 3 * 3600 * NS_PER_S);
    assert_int_equal(s->upstreams[0].forward->way.for_connect->origin.longest_ns, 3 * 3600 * NS_PER_S);
    assert_int_equal(s->upstreams[1].origin.longest_ns, 5 * NS_PER_S);
    snapshot_free(s);
}

static void streams_of_routes_have_what_the_upstreams_do_not_say(void **state)
{
    struct snapshot *s =
        load("defaults: {streams: {idle: 7s}}\n"
             "upstreams:\n"
             "  p:\n"
             "    listen: 127.0.0.1:1\n"
             "    url: http://a\n"
             "    streams: {first_event: 3s, types: [text/event-stream, Application/X-NDJSON]}\n"
             "    routes:\n"
             "      - {path: /a, streams: {deadline: 1m, ignore: [a, b]}}\n"
             "      - {path: /b, streams: none}\n"
             "      - {path: /c, deadline: 1h}\n");
    const struct upstream_config *p = &s->upstreams[0];
    const struct streams_config *a = p->routes[0].streams;

    assert_int_equal(p->default_route.streams->deadline_ns, 600 * NS_PER_S);
    assert_int_equal(p->default_route.streams->idle_ns, 7 * NS_PER_S);
    assert_int_equal(p->default_route.streams->events.ignore_count, 1);
    assert_true(span_eq(p->default_route.streams->events.ignore[0], SPAN_LIT("ping")));
    assert_int_equal(a->deadline_ns, 60 * NS_PER_S);
    assert_int_equal(a->first_event_ns, 3 * NS_PER_S);
    assert_int_equal(a->events.ignore_count, 2);
    assert_true(streams_take(a, SPAN_LIT("text/event-stream")));
    assert_true(streams_take(a, SPAN_LIT("TEXT/event-stream\t; charset=utf-8")));
    assert_true(streams_take(a, SPAN_LIT("application/x-ndjson")));
    assert_false(streams_take(a, SPAN_LIT("text/event-stream2")));
    assert_false(streams_take(a, SPAN_LIT("text/event")));
    assert_false(streams_take(a, SPAN_LIT("")));
    assert_null(p->routes[1].streams);
    assert_int_equal(route_longest_ns(&p->default_route), 600 * NS_PER_S);
    assert_int_equal(route_longest_ns(&p->routes[2]), 3600 * NS_PER_S);
    assert_true(route_has_same_limits(&p->default_route, &p->default_route));
    assert_false(route_has_same_limits(&p->routes[1], &p->default_route));
    assert_int_equal(p->origin.longest_ns, 3600 * NS_PER_S);
    snapshot_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_what_counts),
        cmocka_unit_test(listeners_are_ports_addresses_and_maps),
        cmocka_unit_test(metrics_may_have_a_listener_of_their_own),
        cmocka_unit_test(a_value_is_a_prefix_and_what_a_file_holds),
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(traces_and_timings_are_an_upstreams_or_the_defaults),
        cmocka_unit_test(an_upstream_has_its_addresses_and_its_url),
        cmocka_unit_test(defaults_are_merged_key_by_key),
        cmocka_unit_test(pools_are_shared_or_own),
        cmocka_unit_test(routes_have_labels_indexes_and_policies),
        cmocka_unit_test(observing_is_the_upstreams_and_gives_each_route_its_ceiling),
        cmocka_unit_test(a_request_finds_its_route),
        cmocka_unit_test(fields_are_set_and_dropped),
        cmocka_unit_test(no_memory_is_no_snapshot),
        cmocka_unit_test(a_file_cut_or_changed_anywhere_does_no_harm),
        cmocka_unit_test(streams_are_off_unless_written),
        cmocka_unit_test(what_an_origin_allows_for_counts_tunnels_also_by_way_of_a_proxy),
        cmocka_unit_test(streams_of_routes_have_what_the_upstreams_do_not_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
