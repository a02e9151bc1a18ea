#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/load.h"

/* Files by path: what is not here can't be read. */
static char *read_file(void *arg, const char *path, size_t *len, const char **why)
{
    static const struct {
        const char *path, *bytes;
    } files[] = {
        {"/token", "Bearer t"}, {"/empty", ""}, {"/lines", "a\nb"}, {"/spaces", " \t"}, {"/pem", "x"}};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].path, path) == 0) {
            *len = strlen(files[i].bytes);
            return mem_dup(files[i].bytes, *len);
        }
    }
    *why = "No such file or directory";
    return NULL;
}

static bool find_group(void *arg, const char *name, uint32_t *number)
{
    *number = 1234;
    return strcmp(name, "app") == 0;
}

static const char *find_variable(void *arg, const char *name)
{
    return strcmp(name, "TWO") == 0     ? "2s"
           : strcmp(name, "EMPTY") == 0 ? ""
           : strcmp(name, "LINES") == 0 ? "a\nb"
                                        : NULL;
}

static const struct config_files files = {.read = read_file, .group = find_group, .variable = find_variable};

/* All that is wrong, or only odd, in these files, one "NAME:LINE:COLUMN: text" a line; of one alone, without its name. */
static const char *load_all(struct config_source *sources, uint32_t count)
{
    static struct config_errors errors, warnings;
    static char all[4096];
    struct snapshot *snapshot = NULL;
    const struct config_errors *told = &errors;
    enum status status;
    size_t len = 0;

    errors.warnings = &warnings;
    warnings.count = 0;
    status = config_load_all(sources, count, &files, &snapshot, &errors);
    all[0] = '\0';
    if (status == ST_OK) {
        snapshot_free(snapshot);
        told = &warnings;
        len = (size_t)snprintf(all, sizeof(all), "%s", warnings.count == 0 ? "no error" : "odd: ");
    } else {
        assert_int_equal(status, ST_BAD);
    }
    for (uint32_t i = 0; i < told->count && i < CONFIG_ERRORS_MAX && len < sizeof(all) - 300; i++)
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s%s%u:%u: %s", i ? "\n" : "",
                                told->list[i].file, told->list[i].file[0] ? ":" : "", told->list[i].line,
                                told->list[i].column, told->list[i].text);
    return all;
}

static const char *load(const char *bytes)
{
    struct config_source source = {.name = "", .bytes = span_of(bytes)};

    return load_all(&source, 1);
}

struct bad {
    const char *yaml, *expected;
};

static void check(const struct bad *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *found = load(cases[i].yaml);

        if (strcmp(found, cases[i].expected) != 0)
            fail_msg("\n%s\nexpected:\n%s\nfound:\n%s", cases[i].yaml, cases[i].expected, found);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

/* A sound upstream on the first line; what a case adds starts on line 2. */
#define GOOD         "upstreams: {p: {listen: 127.0.0.1:1, url: http://a}}\n"
/* The same with more keys of that upstream, which start at column 52. */
#define WITH(keys)   "upstreams: {p: {listen: 127.0.0.1:1, url: https://a, " keys "}}\n"

static void wrong_keys(void **state)
{
    static const struct bad cases[] = {
        {GOOD, "no error"},
        {GOOD "worker: 2\n", "2:1: worker: unknown key; did you mean \"workers\"?"},
        {GOOD "plugins: 2\n", "2:1: plugins: unknown key"},
        {GOOD "<<: {}\n",
         "2:1: \"<<\": unknown key; merge keys are not supported; defaults has what all upstreams share"},
        {GOOD "workers: 2\nworkers: 3\n", "3:1: workers: duplicate key; the first is on line 2"},
        {WITH("deadlin: 2s"), "1:54: upstreams.p.deadlin: unknown key; did you mean \"deadline\"?"},
        {WITH("deadline: 2"), "1:64: upstreams.p.deadline: \"2\" has no unit; write for example 2s or 500ms"},
        {WITH("timeouts: {conect: 2s}"),
         "1:65: upstreams.p.timeouts.conect: unknown key; did you mean \"connect\"?"},
        {WITH("path: /x"), "1:54: upstreams.p.path: unknown key; a route has it: routes: [{path: /v1}]"},
        {GOOD "\"\\e[2J\": 1\n", "2:1: \"\\u001b[2J\": unknown key"},
        {GOOD "pools: {\"a b\": {}}\n",
         "2:9: pools.\"a b\": a name is 1 to 64 letters, digits, \"_\", \".\" or \"-\""},
        {"upstreams: {a/b: {listen: 127.0.0.1:1, url: http://a}}",
         "1:13: upstreams.\"a/b\": a name is 1 to 64 letters, digits, \"_\", \".\" or \"-\""},
    };

    CHECK(cases);
}

static void missing_and_empty_values(void **state)
{
    static const struct bad cases[] = {
        {"workers: 1\n", "1:1: upstreams: is missing"},
        {"upstreams: {}\n", "1:12: upstreams: at least one upstream is needed"},
        {"upstreams:\n", "1:1: upstreams: has no value"},
        {"upstreams: {p: {}}\n", "1:13: upstreams.p.listen: is missing\n1:13: upstreams.p.url: is missing"},
        {"upstreams: {p: }\n", "1:13: upstreams.p: has no value"},
        {"upstreams: {p: {listen: , url: ~}}\n",
         "1:17: upstreams.p.listen: has no value\n1:27: upstreams.p.url: has no value"},
        {GOOD "defaults:\n", "2:1: defaults: has no value"},
        {GOOD "admin: {}\n", "2:1: admin.listen: is missing"},
        {WITH("deadline: null"), "1:54: upstreams.p.deadline: has no value"},
        {WITH("caller_deadline: {}"), "1:54: upstreams.p.caller_deadline.headers: is missing"},
        {WITH("caller_deadline: {headers: []}"),
         "1:81: upstreams.p.caller_deadline.headers: the list is empty"},
        {WITH("routes: [{}]"), "1:63: upstreams.p.routes[0].path: is missing"},
        {WITH("routes: [~]"), "1:63: upstreams.p.routes[0]: has no value"},
    };

    CHECK(cases);
}

static void wrong_types(void **state)
{
    static const struct bad cases[] = {
        {"upstreams: [a]\n",
         "1:12: upstreams: a map of names is needed here, not a list; each is written with its name before it: NAME: {listen: …, url: …}"},
        {"upstreams: x\n", "1:12: upstreams: a map of names is needed here, not text"},
        {GOOD "workers: [2]\n", "2:10: workers: a text is needed here, not a list"},
        {GOOD "log: {access: {file: x}}\n", "2:15: log.access: a text is needed here, not a map"},
        {WITH("pool: [a]"), "1:60: upstreams.p.pool: a text or a map is needed here, not a list"},
        {WITH("routes: /x"),
         "1:62: upstreams.p.routes: a map or a list of them is needed here, not text; write routes: [{path: /v1, deadline: 2s}]"},
        {WITH("headers: {remove: {}}"),
         "1:72: upstreams.p.headers.remove: a text or a list of them is needed here, not a map"},
        {WITH("headers: {remove: [{a: b}]}"),
         "1:73: upstreams.p.headers.remove[0]: a text is needed here, not a map"},
        {WITH("headers: {set: [a]}"),
         "1:69: upstreams.p.headers.set: a map is needed here, not a list; write set: {NAME: VALUE}"},
        {WITH("headers: {set: {a: [b]}}"),
         "1:73: upstreams.p.headers.set.a: a text or {file: PATH} is needed here, not a list"},
        {"upstreams: {p: {listen: [[]], url: http://a}}\n",
         "1:26: upstreams.p.listen[0]: an address or a map is needed here, not a list"},
        {GOOD "admin: {listen: [127.0.0.1:2]}\n",
         "2:17: admin.listen: an address or a map is needed here, not a list"},
    };

    CHECK(cases);
}

static void a_least_rate(void **state)
{
    static const struct bad cases[] = {
        {WITH("timeouts: {min_rate: none}"), "no error"},
        {WITH("timeouts: {min_rate: {}}"), "no error"},
        {WITH("timeouts: {min_rate: {bytes: 10KiB}}, routes: [{path: /a, timeouts: {min_rate: none}}]"),
         "no error"},
        {WITH("timeouts: {min_rate: 1KiB}, routes: [{path: /a}]"),
         "1:75: upstreams.p.timeouts.min_rate: \"1KiB\" is no map; write {bytes: 1KiB, per: 10s}, or none"},
        {WITH("timeouts: {min_rate: {bytes: 0B}}"),
         "1:83: upstreams.p.timeouts.min_rate.bytes: \"0B\" is out of bounds: 1B to 1GiB"},
        {WITH("timeouts: {min_rate: {per: 1ms}}"),
         "1:81: upstreams.p.timeouts.min_rate.per: \"1ms\" is out of bounds: 100ms to 1h"},
        {WITH("timeouts: {min_rate: [1KiB, 10s]}"),
         "1:75: upstreams.p.timeouts.min_rate: a text or a map is needed here, not a list"},
    };

    CHECK(cases);
}

static void streams(void **state)
{
    static const struct bad cases[] = {
        {WITH("streams: {}"), "no error"},
        {WITH("streams: none"), "no error"},
        {WITH("streams: {types: Text/Event-Stream, ignore: none, first_event: 1ms, idle: 24h, deadline: 1s}"),
         "no error"},
        {WITH(
             "streams: {idle: 9s}, routes: [{path: /a, streams: none}, {path: /b, streams: {ignore: [a, b]}}]"),
         "no error"},
        {WITH("streams: true, routes: [{path: /a}]"),
         "1:63: upstreams.p.streams: \"true\" is no map; write {first_event: 20s, idle: 30s, deadline: 10m}, or none"},
        {WITH("streams: {deadline: none}"),
         "1:74: upstreams.p.streams.deadline: \"none\" is not a duration; write for example 2s or 500ms"},
        {WITH("streams: {types: []}"), "1:71: upstreams.p.streams.types: the list is empty"},
        {WITH("streams: {types: [text/event-stream, event-stream]}"),
         "1:91: upstreams.p.streams.types[1]: \"event-stream\" is not a media type; write for example text/event-stream"},
        {WITH("streams: {types: text/}"),
         "1:71: upstreams.p.streams.types: \"text/\" is not a media type; write for example text/event-stream"},
        {WITH("streams: {types: 'text/event-stream; charset=utf-8'}"),
         "1:71: upstreams.p.streams.types: \"text/event-stream; charset=utf-8\" has parameters, which are not compared; the type alone is right"},
        {WITH("streams: {types: text/*}"),
         "1:71: upstreams.p.streams.types: \"text/*\" has a *, which stands for nothing; each type is written by itself"},
        {WITH("streams: {ignore: [ping, '']}"),
         "1:79: upstreams.p.streams.ignore[1]: \"\" is not the type of an event: those that can be ignored have 1 to 64 bytes"},
        {WITH("streams: {ignore: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]}"),
         "1:72: upstreams.p.streams.ignore: has 17 types; at most 16 can be ignored"},
        {WITH("streams: {ttft: 9s}"),
         "1:64: upstreams.p.streams.ttft: unknown key; did you mean \"first_event\"?"},
        {WITH("sse: {}"), "1:54: upstreams.p.sse: unknown key; did you mean \"streams\"?"},
    };

    CHECK(cases);
}

#define BY_TLS(more) "upstreams: {p: {url: http://a, " more "}}\n"

static void tls_from_callers_and_http2(void **state)
{
    static const struct bad cases[] = {
        {BY_TLS("listen_tls: 1"),
         "1:32: upstreams.p.listen_tls: needs caller_tls too, with cert_file and key_file"},
        {BY_TLS("listen: 1, caller_tls: {min_version: 1.3}"),
         "1:56: upstreams.p.caller_tls.min_version: only with listen_tls"},
        {BY_TLS("listen: 1, listen_tls: 1, caller_tls: {}"),
         "1:55: upstreams.p.listen_tls: \"1\" is used already, on line 1\n"
         "1:58: upstreams.p.caller_tls.cert_file: is missing\n1:58: upstreams.p.caller_tls.key_file: is missing"},
        {BY_TLS("listen: 1, http2: {use: yes}"),
         "1:56: upstreams.p.http2.use: \"yes\" is none of never, auto, always"},
        {BY_TLS("listen: 1, http2: always"),
         "1:50: upstreams.p.http2: a map is needed here, not text; write http2: {use: auto}"},
        {BY_TLS("listen: 1, http2: {use: always, window: 16MiB, max_calls: 1}"), "no error"},
        {"defaults: {listen_tls: 1}\n" GOOD,
         "1:12: defaults.listen_tls: belongs to a single upstream and can't be a default"},
    };

    CHECK(cases);
}

static void addresses(void **state)
{
    static const struct bad cases[] = {
        {"upstreams: {p: {listen: 80, url: http://a}}\n", "no error"},
        {"upstreams: {p: {listen: 80x, url: http://a}}\n",
         "1:25: upstreams.p.listen: \"80x\": not an address; write for example 8080, 127.0.0.1:8080, \"[::1]:8080\" or "
         "unix:/run/curfew.sock"},
        {GOOD "admin: {listen: 80x}\n",
         "2:17: admin.listen: \"80x\": not an address; write for example 8080, 127.0.0.1:8080, \"[::1]:8080\" or "
         "unix:/run/curfew.sock"},
        {"upstreams: {p: {listen: [127.0.0.1:80, 0.0.0.0:80], url: http://a}}\n",
         "1:40: upstreams.p.listen[1]: \"0.0.0.0:80\" overlaps with \"127.0.0.1:80\" on line 1: only one of them can listen"},
        {"upstreams: {p: {listen: [0.0.0.0:80, '[::]:80'], url: http://a}}\n", "no error"},
        {GOOD "admin: {listen: 1}\n", "1:25: upstreams.p.listen: \"127.0.0.1:1\" is used already, on line 2"},
        {"upstreams:\n  p: {listen: 127.0.0.1:1, url: http://a}\n  q: {listen: ['[::1]:1', localhost:1], url: http://a}\n",
         "3:27: upstreams.q.listen[1]: \"localhost:1\" is used already, on line 2"},
        {GOOD "admin: {listen: 127.0.0.1:1}\n",
         "1:25: upstreams.p.listen: \"127.0.0.1:1\" is used already, on line 2"},
        {GOOD "admin: {listen: '[::]:2'}\n",
         "2:17: admin.listen: \"[::]:2\" can be reached by others, and asks nobody who they are; use loopback or a unix "
         "socket, or set allow_remote: true"},
        {GOOD "admin: {listen: '[::]:2', allow_remote: true}\n", "no error"},
        {GOOD "admin: {listen: 'unix:/x'}\n", "no error"},
        {GOOD "admin: {metrics_listen: '0.0.0.0:2'}\n", "no error"},
        {GOOD "admin: {listen: 2, metrics_listen: 'unix:/x'}\n", "no error"},
        {GOOD "admin: {allow_remote: true}\n", "2:1: admin.listen: is missing"},
        {GOOD "admin: {listen: 2, metrics_listen: '0.0.0.0:2'}\n",
         "2:36: admin.metrics_listen: \"0.0.0.0:2\" overlaps with \"2\" on line 2: only one of them can listen"},
        {GOOD "admin: {metrics_listen: 80x}\n",
         "2:25: admin.metrics_listen: \"80x\": not an address; write for example 8080, 127.0.0.1:8080, "
         "\"[::1]:8080\" or unix:/run/curfew.sock"},
        {"upstreams: {p: {listen: [127.0.0.1:0, 127.0.0.1:0], url: http://a}}\n", "no error"},
        {"upstreams: {p: {listen: 127.0.0.1:1, url: \"http://a b\"}}\n",
         "1:43: upstreams.p.url: the host is not a valid name"},
    };

    CHECK(cases);
}

static void maps_of_listeners(void **state)
{
#define LISTEN(value) "upstreams: {p: {url: http://a, listen: " value "}}\n"
    static const struct bad cases[] = {
        {LISTEN("{address: 8080}"), "no error"},
        {LISTEN("{address: 'unix:/x', mode: 0660, group: app}"), "no error"},
        {LISTEN("[{address: 'unix:/x', mode: '0o600'}, 8080, {address: 'unix:/y', group: 7}]"), "no error"},
        {GOOD "admin: {listen: {address: 'unix:/x', mode: 777}}\n", "no error"},
        {LISTEN("{}"), "1:32: upstreams.p.listen.address: is missing"},
        {LISTEN("{mode: 0660}"), "1:32: upstreams.p.listen.address: is missing"},
        {LISTEN("[80, {addres: 'unix:/x'}]"),
         "1:45: upstreams.p.listen[1].address: is missing\n"
         "1:46: upstreams.p.listen[1].addres: unknown key; did you mean \"address\"?"},
        {LISTEN("{address: 8080, mode: 0660}"), "1:56: upstreams.p.listen.mode: only for unix sockets"},
        {LISTEN("{address: '[::1]:80', group: app}"),
         "1:62: upstreams.p.listen.group: only for unix sockets"},
        {LISTEN("{address: 'unix:/x', mode: 432}"),
         "1:67: upstreams.p.listen.mode: \"432\" is not 0600 to 0777; write for example \"0660\""},
        {LISTEN("{address: 'unix:/x', mode: 01777}"),
         "1:67: upstreams.p.listen.mode: \"01777\" is not 0600 to 0777; write for example \"0660\""},
        {LISTEN("{address: 'unix:/x', mode: rw}"),
         "1:67: upstreams.p.listen.mode: \"rw\" is not 0600 to 0777; write for example \"0660\""},
        {LISTEN("{address: 'unix:/x', group: nobodys}"),
         "1:68: upstreams.p.listen.group: there is no group \"nobodys\""},
        {LISTEN("['unix:/x', {address: 'unix://x'}]"),
         "1:62: upstreams.p.listen[1].address: \"unix://x\" overlaps with \"unix:/x\" on line 1: only one of them can listen"},
    };

    CHECK(cases);
}

static void variables(void **state)
{
#define UNSET(name) "the environment has no variable " name "; ${" name ":-default} has a value without it"
    static const struct bad cases[] = {
        {WITH("deadline: '${TWO}'"), "no error"},
        {WITH("deadline: \"${X:-3s}\""), "no error"},
        {WITH("deadline: '${EMPTY}s'"),
         "1:64: upstreams.p.deadline: \"s\" is not a duration; write for example 2s or 500ms"},
        /* One that is empty leaves a value without quotes empty. */
        {GOOD "workers: ${EMPTY}\n", "2:1: workers: has no value: what its variable holds is empty"},
        {GOOD "workers: ${EMPTY:-2}\n", "no error"},
        {GOOD "workers: ${X:-}\n", "2:1: workers: has no value: what its variable holds is empty"},
        /* What is not set is all that is wrong with a value. */
        {WITH("deadline: '${X}', url: '${Y}', pool: '${Z}'"),
         "1:64: upstreams.p.deadline: " UNSET("X") "\n1:72: upstreams.p.url: duplicate key; the first is on line 1\n1:77: upstreams.p.url: " UNSET(
             "Y") "\n1:91: upstreams.p.pool: " UNSET("Z")},
        {WITH("headers: {set: {A: '${X}', B: {file: '${X}'}}, remove: ['${X}']}"),
         "1:73: upstreams.p.headers.set.A: " UNSET("X") "\n1:91: upstreams.p.headers.set.B.file: " UNSET(
             "X") "\n1:110: upstreams.p.headers.remove[0]: " UNSET("X")},
        {WITH("headers: {set: {A: '${LINES}'}}"),
         "1:73: upstreams.p.headers.set.A: the value holds a line break or another control character"},
        {WITH("routes: {path: '/x/${X}'}"), "1:69: upstreams.p.routes.path: " UNSET("X")},
        /* Keys are no values. */
        {GOOD "${TWO}: 1\n", "2:1: \"${TWO}\": unknown key"},
        {GOOD "workers: ${X\n",
         "2:10: workers: ${ without its }; a variable is written ${NAME} or ${NAME:-default}, and a dollar $$"},
    };

    CHECK(cases);
}

static void files_of_a_directory(void **state)
{
    static const struct {
        const char *a, *b, *expected;
    } cases[] = {
        {GOOD, "upstreams: {q: {listen: 2, url: http://a, pool: r}}\npools: {r: {}}\n", "no error"},
        {"workers: 2\npools: {r: {}}\n", "pools: {s: {}}\n" GOOD, "no error"},
        {GOOD, "", "no error"},
        {"# nothing\n", "---\n" GOOD, "no error"},
        {"", "# nothing\n", "a:1:1: all files are empty"},
        {"workers: 2\n", "drain: 2s\n", "a:1:1: upstreams: is missing"},
        {GOOD, "upstreams: {q: {listen: 2, url: http://a}, p: {listen: 3, url: http://a}}\n",
         "b:1:44: upstreams.p: is there already, on line 1 of a"},
        {"pools: {r: {}}\n" GOOD, "pools: {r: {}}\n", "b:1:9: pools.r: is there already, on line 1 of a"},
        {"workers: 2\n" GOOD, "workers: 2\nlog: {level: info}\n",
         "b:1:1: workers: is there already, on line 1 of a; only upstreams, pools and forward may be in several files"},
        {"defaults: {deadline: 1s}\n" GOOD, "defaults: {deadline: 1s}\n",
         "b:1:1: defaults: is there already, on line 1 of a; only upstreams, pools and forward may be in several files"},
        {GOOD, "upstreams: [q]\n", "b:1:12: upstreams: a map of names is needed here"},
        {GOOD, "upstreams:\n", "no error"},
        {GOOD, "upstreams: {q: {listen: 127.0.0.1:1, url: http://a}}\n",
         "b:1:25: upstreams.q.listen: \"127.0.0.1:1\" is used already, on line 1 of a"},
        {GOOD, "upstreams: {q: {listen: 0.0.0.0:1, url: http://a}}\n",
         "b:1:25: upstreams.q.listen: \"0.0.0.0:1\" overlaps with \"127.0.0.1:1\" on line 1 of a: only one of them can "
         "listen"},
        /* In the order of the files. */
        {"\n\nzz: 1\n" GOOD, "yy: 1\n", "a:3:1: zz: unknown key\nb:1:1: yy: unknown key"},
        {GOOD "a: [\n", "b: {\n",
         "a:3:1: not valid YAML: a { or [ that is not closed, or a comma is missing\n"
         "b:2:1: not valid YAML: a { or [ that is not closed, or a comma is missing"},
        {"upstreams: {p: {listen: 1, url: http://a, tls: {ca_file: /pem}}}\n", "pools: {}\n",
         "a:1:49: upstreams.p.tls.ca_file: only for https"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_source sources[] = {{.name = "a", .bytes = span_of(cases[i].a)},
                                          {.name = "b", .bytes = span_of(cases[i].b)}};
        const char *found;

        found = load_all(sources, 2);
        if (strcmp(found, cases[i].expected) != 0)
            fail_msg("\n%s---\n%s\nexpected:\n%s\nfound:\n%s", cases[i].a, cases[i].b, cases[i].expected,
                     found);
    }
}

static void what_is_odd_is_told_beside(void **state)
{
#define NONE                                                                                                 \
    "what looks like a variable is none and stays as it is; a variable is written ${NAME}, a dollar $$"
    static const struct bad cases[] = {
        {WITH("headers: {set: {A: 'Bearer $TOKEN'}}"), "odd: 1:73: upstreams.p.headers.set.A: " NONE},
        {WITH("headers: {set: {A: '{env.X}', B: '%X%'}}"),
         "odd: 1:73: upstreams.p.headers.set.A: " NONE "\n1:87: upstreams.p.headers.set.B: " NONE},
        {WITH("headers: {set: {A: 'Bearer {file: /token}'}}"),
         "odd: 1:73: upstreams.p.headers.set.A: a file is not read inside a text; its value is {file: PATH, prefix: "
         "\"what stands before it\"}"},
        {WITH("headers: {set: {A: $$TOKEN}}"), "no error"},
    };

    CHECK(cases);
}

static void one_value_does_for_a_list(void **state)
{
    static const struct bad cases[] = {
        {WITH("headers: {remove: Cookie}, caller_deadline: {headers: X-T}"), "no error"},
        {WITH("routes: {path: /x, methods: POST}"), "no error"},
        {WITH("headers: {remove: Host}"),
         "1:72: upstreams.p.headers.remove: \"Host\" is set by curfew itself"},
        {WITH("routes: {path: x, methods: post}"),
         "1:69: upstreams.p.routes.path: \"x\": must start with /\n"
         "1:81: upstreams.p.routes.methods: \"post\" is not a method; methods are upper case"},
        {WITH("headers: {remove: }"), "1:64: upstreams.p.headers.remove: has no value"},
        {WITH("caller_deadline: {headers: ''}"),
         "1:81: upstreams.p.caller_deadline.headers: \"\" is not the name of a field"},
    };

    CHECK(cases);
}

static void pools(void **state)
{
    static const struct bad cases[] = {
        {WITH("pool: repots") "pools: {reports: {}}\n",
         "1:60: upstreams.p.pool: there is no \"repots\" in pools; did you mean \"reports\"?"},
        {WITH("pool: x"), "1:60: upstreams.p.pool: there is no \"x\" in pools"},
        {GOOD "pools: {p: {}}\n",
         "1:13: upstreams.p: its own pool would be named like one in pools; share that with pool: p"},
        {WITH("pool: p") "pools: {p: {}, unused: {}}\n", "no error"},
        {WITH("routes: [{path: /x, pool: y}]"),
         "1:80: upstreams.p.routes[0].pool: there is no \"y\" in pools"},
        {WITH("pool: {size: 0}"), "1:67: upstreams.p.pool.size: \"0\" is out of bounds: 1 to 1000000"},
        {WITH("pool: {quue: 0}"), "1:61: upstreams.p.pool.quue: unknown key; did you mean \"queue\"?"},
        {GOOD "defaults: {pool: x}\n", "2:18: defaults.pool: there is no \"x\" in pools"},
        {GOOD "pools: {r: {queue_timeout: 5}}\n",
         "2:28: pools.r.queue_timeout: \"5\" has no unit; write for example 2s or 500ms"},
        {WITH("pool: {linger: 25h}"), "1:69: upstreams.p.pool.linger: \"25h\" is out of bounds: 0s to 24h"},
        {WITH("pool: {adapt: {min: 60}}"),
         "1:74: upstreams.p.pool.adapt.min: is more than the pool has permits, 50"},
        {WITH("pool: {size: 60, adapt: {min: 60, when: 429}}"), "no error"},
        {WITH("pool: {adapt: {when: [429, 200, 5xx]}}"),
         "1:81: upstreams.p.pool.adapt.when[1]: \"200\" is no status by which an API refuses: 400 to 599\n"
         "1:86: upstreams.p.pool.adapt.when[2]: \"5xx\" is no status by which an API refuses: 400 to 599"},
        {WITH("pool: {adapt: none}"), "no error"},
        {WITH("pool: {adapt: true}"),
         "1:68: upstreams.p.pool.adapt: \"true\" is no way to adapt; write none, or {min: 5, when: [429, 503]}"},
        {WITH("pool: {adapt: [429]}"),
         "1:68: upstreams.p.pool.adapt: a text or a map is needed here, not a list; write adapt: {when: [429, 503]}"},
        {WITH("late: true"),
         "1:60: upstreams.p.late: needs a pool with linger: for so long the API may still answer"},
        {WITH("late: true, pool: {linger: 1s}"), "no error"},
    };

    CHECK(cases);
}

static void defaults(void **state)
{
    static const struct bad cases[] = {
        {GOOD "defaults: {listen: 127.0.0.1:3, url: x, routes: []}\n",
         "2:12: defaults.listen: belongs to a single upstream and can't be a default\n"
         "2:33: defaults.url: belongs to a single upstream and can't be a default\n"
         "2:41: defaults.routes: belongs to a single upstream and can't be a default"},
        {GOOD "defaults: {deadlnie: 1s, tls: {foo: 1}}\n",
         "2:12: defaults.deadlnie: unknown key; did you mean \"deadline\"?\n2:32: defaults.tls.foo: unknown key"},
        /* What two upstreams inherit is reported once. */
        {"upstreams: {p: {listen: 127.0.0.1:1, url: http://a}, q: {listen: 127.0.0.1:2, url: http://a}}\n"
         "defaults: {headers: {remove: [Host]}}\n",
         "2:31: defaults.headers.remove[0]: \"Host\" is set by curfew itself"},
        {GOOD "defaults: {tls: {server_name: b, ca_file: /nope}}\n", "no error"},
    };

    CHECK(cases);
}

static void tls(void **state)
{
    static const struct bad cases[] = {
        {WITH("tls: {ca_file: /nope}"),
         "1:69: upstreams.p.tls.ca_file: \"/nope\": No such file or directory"},
        {WITH("tls: {cert_file: /pem}"), "1:60: upstreams.p.tls.cert_file: needs key_file too"},
        {WITH("tls: {key_file: /pem}"), "1:60: upstreams.p.tls.key_file: needs cert_file too"},
        {WITH("tls: {key_file: /pem, cert_file: /pem, ca_file: /pem}"), "no error"},
        {WITH("tls: {min_version: 1.1}"),
         "1:73: upstreams.p.tls.min_version: \"1.1\" is none of 1.2, 1.3; did you mean \"1.2\"?"},
        {WITH("tls: {server_name: \"a:1\"}"),
         "1:73: upstreams.p.tls.server_name: \"a:1\" is not the name of a host"},
        {"upstreams: {p: {listen: 127.0.0.1:1, url: http://a, tls: {server_name: b, min_version: 1.3}}}\n",
         "1:59: upstreams.p.tls.server_name: only for https\n1:75: upstreams.p.tls.min_version: only for https"},
    };

    CHECK(cases);
}

static void fields(void **state)
{
    static const struct bad cases[] = {
        {WITH("headers: {set: {\"a b\": c}}"),
         "1:70: upstreams.p.headers.set.\"a b\": is not the name of a field"},
        {WITH("headers: {set: {upgrade: c}}"),
         "1:70: upstreams.p.headers.set.upgrade: is set by curfew itself"},
        {WITH("headers: {forwarded: xforwarded, via: yes}"),
         "1:75: upstreams.p.headers.forwarded: \"xforwarded\" is none of none, x-forwarded, rfc7239; did you mean \"x-forwarded\"?\n"
         "1:92: upstreams.p.headers.via: \"yes\" is neither true nor false; did you mean true?"},
        {WITH("headers: {set: {A: b, a: c}}"), "1:76: upstreams.p.headers.set.a: is set on line 1 already"},
        {WITH("headers: {set: {A: \"b\\r\\nc\"}}"),
         "1:73: upstreams.p.headers.set.A: the value holds a line break or another control character"},
        {WITH("headers: {set: {A: {file: /nope}}}"),
         "1:80: upstreams.p.headers.set.A.file: \"/nope\": No such file or directory"},
        {WITH("headers: {set: {A: {file: /empty}}}"),
         "1:80: upstreams.p.headers.set.A.file: the file is empty"},
        {WITH("headers: {set: {A: {file: /spaces}}}"),
         "1:80: upstreams.p.headers.set.A.file: the file is empty"},
        {WITH("headers: {set: {A: {file: /lines}}}"),
         "1:80: upstreams.p.headers.set.A.file: the value holds a line break or another control character"},
        {WITH("headers: {set: {A: {fil: /token}}}"),
         "1:70: upstreams.p.headers.set.A.file: is missing\n"
         "1:74: upstreams.p.headers.set.A.fil: unknown key; did you mean \"file\"?"},
        {WITH("headers: {set: {A: {file: /token, prefix: \"x\\ny \"}}}"),
         "1:80: upstreams.p.headers.set.A.file: the value holds a line break or another control character"},
        {WITH("headers: {set: {A: {file: /empty, prefix: 'Bearer '}}}"),
         "1:80: upstreams.p.headers.set.A.file: the file is empty"},
        {WITH("headers: {set: {A: {prefix: 'Bearer '}}}"),
         "1:70: upstreams.p.headers.set.A.file: is missing"},
        {WITH("headers: {set: {A: {file: /token, prefix: []}}}"),
         "1:96: upstreams.p.headers.set.A.prefix: a text is needed here, not a list"},
        {WITH("headers: {set: {A: }}"), "1:70: upstreams.p.headers.set.A: has no value"},
        {WITH("headers: {set: {Host: ''}}"), "1:76: upstreams.p.headers.set.Host: Host can't be empty"},
        {WITH("headers: {set: {Host: 'a b'}}"),
         "1:76: upstreams.p.headers.set.Host: Host must be a name or an IP address, perhaps with a port"},
        {WITH("headers: {set: {Host: 'https://b'}}"),
         "1:76: upstreams.p.headers.set.Host: Host must be a name or an IP address, perhaps with a port"},
        {WITH("headers: {remove: [Connection]}"),
         "1:73: upstreams.p.headers.remove[0]: \"Connection\" is set by curfew itself"},
        {WITH("headers: {remove: [\"a:\"]}"),
         "1:73: upstreams.p.headers.remove[0]: \"a:\" is not the name of a field"},
        {WITH("caller_deadline: {headers: [TE, \"\"], forward: a b}"),
         "1:82: upstreams.p.caller_deadline.headers[0]: \"TE\" is set by curfew itself\n"
         "1:86: upstreams.p.caller_deadline.headers[1]: \"\" is not the name of a field\n"
         "1:100: upstreams.p.caller_deadline.forward: \"a b\" is not the name of a field"},
        {WITH("caller_deadline: {headers: [A], forward: GRPC-Timeout}, headers: {set: {grpc-timeout: 1S}}"),
         "1:126: upstreams.p.headers.set.grpc-timeout: is what caller_deadline.forward writes"},
        {WITH("caller_deadline: {headers: [A], forward: B}, headers: {set: {b: 1}}"),
         "1:115: upstreams.p.headers.set.b: is what caller_deadline.forward writes"},
        {WITH("trace: true, headers: {set: {TraceParent: x}}"),
         "1:83: upstreams.p.headers.set.TraceParent: is what trace writes"},
        {WITH("trace: true, caller_deadline: {headers: [A], forward: TraceParent}"),
         "1:108: upstreams.p.caller_deadline.forward: is what trace writes"},
        {WITH("trace: yes, server_timing: 1"),
         "1:61: upstreams.p.trace: \"yes\" is neither true nor false; did you mean true?\n"
         "1:81: upstreams.p.server_timing: \"1\" is neither true nor false; did you mean true?"},
    };

    CHECK(cases);
}

static void routes(void **state)
{
    static const struct bad cases[] = {
        {WITH("routes: [{path: x}, {path: /a?b}, {path: \"/a b\"}]"),
         "1:70: upstreams.p.routes[0].path: \"x\": must start with /\n"
         "1:81: upstreams.p.routes[1].path: \"/a?b\": query and fragment have no place here\n"
         "1:95: upstreams.p.routes[2].path: \"/a b\": a character in the path must be percent-encoded"},
        {WITH("routes: [{path: /x, methods: [CONNECT, post, POST, POST, \"a b\"]}]"),
         "1:84: upstreams.p.routes[0].methods[0]: \"CONNECT\" is not supported\n"
         "1:93: upstreams.p.routes[0].methods[1]: \"post\" is not a method; methods are upper case\n"
         "1:105: upstreams.p.routes[0].methods[3]: \"POST\" is there twice\n"
         "1:111: upstreams.p.routes[0].methods[4]: \"a b\" is not a method"},
        {WITH("routes: [{path: /x, methods: [PURGE, list]}]"), "no error"},
        {WITH("routes: [{path: /x}, {path: /x/}]"),
         "1:75: upstreams.p.routes[1]: the route on line 1 has the same path and takes the same method"},
        {WITH("routes: [{path: /x, methods: [GET]}, {path: /x}]"),
         "1:91: upstreams.p.routes[1]: the route on line 1 has the same path and takes the same method"},
        {WITH("routes: [{path: /x, methods: [GET, POST]}, {path: /x, methods: [PUT, POST]}]"),
         "1:97: upstreams.p.routes[1]: the route on line 1 has the same path and takes the same method"},
        {WITH("routes: [{path: /x, methods: [GET]}, {path: /x, methods: [POST]}, {path: /}, {path: /xy}]"),
         "no error"},
        {WITH("routes: [{path: /x, url: http://a, deadline: 0s}]"),
         "1:74: upstreams.p.routes[0].url: unknown key; it belongs to the upstream, not to one of its routes\n"
         "1:99: upstreams.p.routes[0].deadline: \"0s\" is out of bounds: 1ms to 24h"},
    };

    CHECK(cases);
}

static void the_rest(void **state)
{
    static const struct bad cases[] = {
        {GOOD "log: {level: loud, access: of}\n",
         "2:14: log.level: \"loud\" is none of error, warn, info, debug\n"
         "2:28: log.access: \"of\" is neither stdout nor off nor a path with a / in it; did you mean \"off\"?"},
        {GOOD "log: {access: ./a}\n", "no error"},
        {GOOD "drain: 0s\nworkers: auto\n", "no error"},
        {GOOD "drain: none\n", "2:8: drain: \"none\" is not a duration; write for example 2s or 500ms"},
        {GOOD "a: 1\n\tb: 2\n", "3:1: a tab where only spaces may stand"},
    };

    CHECK(cases);
}

static void errors_come_in_the_order_of_the_file(void **state)
{
    assert_string_equal(
        load("upstreams:\n"
             "  p:\n"
             "    pool: nobody\n"
             "    url: gopher://a\n"
             "    deadline: 2\n"
             "    deadline: 3\n"
             "workers: 0\n"
             "admin: {listen: 0.0.0.0:1}\n"),
        "2:3: upstreams.p.listen: is missing\n"
        "3:11: upstreams.p.pool: there is no \"nobody\" in pools\n"
        "4:10: upstreams.p.url: must start with http:// or https://\n"
        "5:15: upstreams.p.deadline: \"2\" has no unit; write for example 2s or 500ms\n"
        "6:5: upstreams.p.deadline: duplicate key; the first is on line 5\n"
        "7:10: workers: \"0\" is out of bounds: 1 to 256\n"
        "8:17: admin.listen: \"0.0.0.0:1\" can be reached by others, and asks nobody who they are; use "
        "loopback or a unix socket, or set allow_remote: true");
}

/* 150 unknown keys on line 2 and, found before them, a wrong number behind them. */
static void of_too_many_errors_the_first_are_kept(void **state)
{
    struct config_errors *errors = mem_zalloc(sizeof(*errors));
    struct snapshot *snapshot;
    char bytes[4000];
    size_t len = (size_t)snprintf(bytes, sizeof(bytes), GOOD);

    for (int i = 0; i < 150; i++)
        len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "zz%d: 1\n", 1000 + i);
    assert_int_equal(config_load((struct span){bytes, len}, &files, &snapshot, errors), ST_BAD);
    assert_int_equal(errors->count, 150);
    assert_int_equal(errors->list[0].line, 2);
    assert_string_equal(errors->list[CONFIG_ERRORS_MAX - 1].text, "zz1099: unknown key");
    mem_free(errors);
}

static void long_texts_are_clipped(void **state)
{
    char bytes[3000] = GOOD "log: {level: ";
    size_t len = strlen(bytes);

    memset(bytes + len, 'x', 2000);
    memcpy(bytes + len + 2000, "}\n", 3);
    assert_string_equal(load(bytes),
                        "2:14: log.level: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xe2\x80\xa6\" is none "
                        "of error, warn, info, debug");
    assert_string_equal(load("\""
                             "0123456789012345678901234567890123456789012345678901234567890123456789"
                             "\": 1\n" GOOD),
                        "1:1: \"0123456789012345678901234567890123456789\xe2\x80\xa6\": unknown key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(missing_and_empty_values),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(a_least_rate),
        cmocka_unit_test(streams),
        cmocka_unit_test(tls_from_callers_and_http2),
        cmocka_unit_test(addresses),
        cmocka_unit_test(maps_of_listeners),
        cmocka_unit_test(one_value_does_for_a_list),
        cmocka_unit_test(variables),
        cmocka_unit_test(files_of_a_directory),
        cmocka_unit_test(what_is_odd_is_told_beside),
        cmocka_unit_test(pools),
        cmocka_unit_test(defaults),
        cmocka_unit_test(tls),
        cmocka_unit_test(fields),
        cmocka_unit_test(routes),
        cmocka_unit_test(the_rest),
        cmocka_unit_test(errors_come_in_the_order_of_the_file),
        cmocka_unit_test(of_too_many_errors_the_first_are_kept),
        cmocka_unit_test(long_texts_are_clipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
