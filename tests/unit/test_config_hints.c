/* What people write who come from other programs: each message says what would be right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/load.h"

/* Files can be read, and are empty certificates; there are no groups and variables. */
static char *read_file(void *arg, const char *path, size_t *len, const char **why)
{
    *len = 1;
    return mem_dup("x", 1);
}

static const struct config_files files = {.read = read_file};

struct meant {
    const char *yaml, *expected;
};

/* The first that is wrong, or else the first that is odd, as "LINE:COLUMN: text". */
static const char *load(const char *bytes)
{
    static struct config_errors errors, warnings;
    static char told[400];
    struct snapshot *snapshot = NULL;
    const struct config_errors *of = &errors;

    errors.warnings = &warnings;
    warnings.count = 0;
    if (config_load(span_of(bytes), &files, &snapshot, &errors) == ST_OK) {
        snapshot_free(snapshot);
        of = &warnings;
    }
    if (of->count == 0)
        return "nothing";
    (void)snprintf(told, sizeof(told), "%s%u:%u: %s", of == &warnings ? "odd: " : "", of->list[0].line,
                   of->list[0].column, of->list[0].text);
    return told;
}

static void check(const struct meant *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *found = load(cases[i].yaml);

        if (strcmp(found, cases[i].expected) != 0)
            fail_msg("\n%s\nexpected:\n%s\nfound:\n%s", cases[i].yaml, cases[i].expected, found);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

#define GOOD         "upstreams: {p: {listen: 1, url: http://a}}\n"
/* More keys of an upstream, from line 5 on. */
#define WITH(lines)  "upstreams:\n  p:\n    listen: 1\n    url: https://a\n" lines
#define LISTEN(text) "upstreams:\n  p:\n    url: http://a\n    listen: " text "\n"

static void keys_of_other_programs(void **state)
{
#define VERIFIED                                                                                             \
    "unknown key; the certificate's chain and name are always verified; tls.ca_file names the authorities that are trusted"
#define DEADLINE "the limit of a whole call is \"deadline\", limits within it are in \"timeouts\""
#define MANY     "how many calls may be at the API at once is pool: {size: 50}"
    static const struct meant cases[] = {
        {WITH("    timeout: 2s\n"), "5:5: upstreams.p.timeout: unknown key; " DEADLINE},
        {WITH("    timeout: {connect: 1s}\n"),
         "5:5: upstreams.p.timeout: unknown key; did you mean \"timeouts\"?"},
        {WITH("    routes: {path: /x, timeout: 2s}\n"),
         "5:24: upstreams.p.routes.timeout: unknown key; " DEADLINE},
        {GOOD "defaults: {timeout: 2s}\n", "2:12: defaults.timeout: unknown key; " DEADLINE},
        {WITH("    timeouts: {connect_timeout: 2s}\n"),
         "5:16: upstreams.p.timeouts.connect_timeout: unknown key; did you mean \"connect\"?"},
        {WITH("    headers: {add: {A: b}}\n"),
         "5:15: upstreams.p.headers.add: unknown key; did you mean \"set\"?"},
        {"upstreams: {p: {url: http://a, listen: {address: 1, host: localhost}}}\n",
         "1:53: upstreams.p.listen.host: unknown key; an address is a port, or HOST:PORT: {address: 8080}"},
        {GOOD "timeout: 2s\n",
         "2:1: timeout: unknown key; the limit of a whole call is the deadline of its upstream, or of defaults for all of "
         "them"},
        {WITH("    verify: false\n"), "5:5: upstreams.p.verify: " VERIFIED},
        {WITH("    tls: {insecure: true}\n"), "5:11: upstreams.p.tls.insecure: " VERIFIED},
        {WITH("    tls: {InsecureSkipVerify: true}\n"),
         "5:11: upstreams.p.tls.InsecureSkipVerify: " VERIFIED},
        {WITH("    headers: {X: y}\n"),
         "5:15: upstreams.p.headers.X: unknown key; a field is set by set: {X: …}"},
        {WITH("    headers: {\"X\\ty\": z}\n"),
         "5:15: upstreams.p.headers.\"X\\ty\": unknown key; a field is set by set: {\"X\\ty\": …}"},
        {WITH("    max_connections: 5\n"), "5:5: upstreams.p.max_connections: unknown key; " MANY},
        {WITH("    queue: 5\n"), "5:5: upstreams.p.queue: unknown key; it belongs into pool: {queue: …}"},
        {WITH("    connect: 5s\n"),
         "5:5: upstreams.p.connect: unknown key; it belongs into timeouts: {connect: …}"},
        {WITH("    pool: {queueTimeout: 5s}\n"),
         "5:12: upstreams.p.pool.queueTimeout: unknown key; did you mean \"queue_timeout\"?"},
        {WITH("    timeouts: {first-byte: 5s}\n"),
         "5:16: upstreams.p.timeouts.first-byte: unknown key; did you mean \"first_byte\"?"},
        {WITH("    workers: 2\n"),
         "5:5: upstreams.p.workers: unknown key; it belongs to the top of the file"},
        {GOOD "deadline: 2s\n",
         "2:1: deadline: unknown key; it belongs to an upstream, or into defaults for all of them"},
        {WITH("    routes: {/v1: {deadline: 2s}}\n"), "5:5: upstreams.p.routes.path: is missing"},
        {WITH("    routes: {path: /, /v1: {}}\n"),
         "5:23: upstreams.p.routes.\"/v1\": unknown key; a list of maps is meant here: [{path: /v1, deadline: 2s}]"},
        {GOOD "limits: {connections: 10,000}\n",
         "2:26: limits.000: unknown key; a number is written without commas"},
        {GOOD "\"\": 1\n", "2:1: \"\": unknown key"},
    };

    CHECK(cases);
}

static void values_of_other_programs(void **state)
{
#define AT   "5:15: upstreams.p.deadline: "
#define SIZE "2:24: limits.request_head: "
    static const struct meant cases[] = {
        {WITH("    deadline: 5 s\n"), AT "\"5 s\" is not a duration; did you mean 5s?"},
        {WITH("    deadline: 5sec\n"), AT "\"5sec\" has an unknown unit; did you mean 5s?"},
        {WITH("    deadline: 2 Minutes\n"), AT "\"2 Minutes\" is not a duration; did you mean 2m?"},
        {WITH("    deadline: 1d\n"), AT "\"1d\" has an unknown unit; did you mean 24h?"},
        {WITH("    deadline: 5\n"), AT "\"5\" has no unit; write for example 2s or 500ms"},
        {WITH("    deadline: soon\n"), AT "\"soon\" is not a duration; write for example 2s or 500ms"},
        {GOOD "limits: {request_head: 32kb}\n", SIZE "\"32kb\" has an unknown unit; did you mean 32KiB?"},
        {GOOD "limits: {request_head: 1 MiB}\n", SIZE "\"1 MiB\" is not a size; did you mean 1MiB?"},
        {GOOD "limits: {connections: 10_000}\n",
         "2:23: limits.connections: \"10_000\" is not a whole number; did you mean 10000?"},
        {WITH("    trace: yes\n"),
         "5:12: upstreams.p.trace: \"yes\" is neither true nor false; did you mean true?"},
        {WITH("    trace: Off\n"),
         "5:12: upstreams.p.trace: \"Off\" is neither true nor false; did you mean false?"},
        {WITH("    trace: perhaps\n"), "5:12: upstreams.p.trace: \"perhaps\" is neither true nor false"},
        {GOOD "log: {level: WARNING}\n",
         "2:14: log.level: \"WARNING\" is none of error, warn, info, debug; did you mean \"warn\"?"},
        {WITH("    pool: 50\n"),
         "5:11: upstreams.p.pool: a text is the name of one in pools; write {size: 50}"},
        {GOOD "log: debug\n",
         "2:6: log: a map is needed here, not text; write log: {level: info, access: stdout}"},
        {WITH("    timeouts: 2s\n"),
         "5:15: upstreams.p.timeouts: a map is needed here, not text; the limit of a whole call is \"deadline\""},
        {"upstreams:\n  - name: p\n    listen: 1\n",
         "2:3: upstreams: a map of names is needed here, not a list; each is written with its name before it: NAME: "
         "{listen: …, url: …}"},
    };

    CHECK(cases);
}

static void addresses_of_other_programs(void **state)
{
#define ALL "for every address of the machine write 0.0.0.0:8080 (IPv4) or \"[::]:8080\" (IPv6)"
    static const struct meant cases[] = {
        {LISTEN("*:8080"), "4:14: not valid YAML: " ALL},
        {LISTEN("'*:8080'"), "4:13: upstreams.p.listen: \"*:8080\": " ALL "; for this machine alone, 8080"},
        {LISTEN(":8080"), "4:13: upstreams.p.listen: \":8080\": " ALL "; for this machine alone, 8080"},
        {LISTEN("[::1]:8080"), "4:14: not valid YAML: an IPv6 address is written in quotes: \"[::1]:8080\""},
        {LISTEN("::1:8080"),
         "4:13: upstreams.p.listen: \"::1:8080\": an IPv6 address is written in brackets, as in [::1]:8080"},
        {LISTEN("http://127.0.0.1:8080"),
         "4:13: upstreams.p.listen: \"http://127.0.0.1:8080\": curfew listens on an address, without a scheme and a path; "
         "write for example 127.0.0.1:8080"},
        {LISTEN("127.0.0.1"),
         "4:13: upstreams.p.listen: \"127.0.0.1\": the port is missing; write for example 127.0.0.1:8080"},
        {LISTEN("/run/x.sock"),
         "4:13: upstreams.p.listen: \"/run/x.sock\": the path of a unix socket has unix: before it, as in "
         "unix:/run/curfew.sock"},
    };

    CHECK(cases);
}

static void what_is_no_yaml(void **state)
{
#define BLANK    "a blank is missing behind the colon: a key and its value are written key: value"
#define VARIABLE "between braces or brackets, a variable is written in quotes: \"${NAME}\""
    static const struct meant cases[] = {
        {"upstreams:\n  p:\n    listen:127.0.0.1:8080\n    url: http://a\n", "3:5: not valid YAML: " BLANK},
        {"upstreams:\n  p:\n    listen: 1\n    url:http://a\n", "4:5: not valid YAML: " BLANK},
        {"upstreams:\n  p:\n    listen:8080\n", "3:5: upstreams.p: a map is needed here, not text; " BLANK},
        {"upstreams: {p: {url: http://a, listen:8080}}\n", "1:13: upstreams.p.listen: is missing"},
        {GOOD "workers:2\n", "2:1: not valid YAML: " BLANK},
        {"workers = 2\n" GOOD, "1:1: not valid YAML: a key and its value are written key: value"},
        {WITH("    headers: {set: {A: Bearer ${TOKEN}}}\n"), "5:32: not valid YAML: " VARIABLE},
        {WITH("    headers: {set: {A: Bearer {file: /x}}}\n"),
         "5:31: not valid YAML: what stands before a file's value is its prefix: {file: PATH, prefix: \"Bearer \"}"},
        {WITH("    headers: {set: {A: {{ token }}}}\n"),
         "5:25: not valid YAML: a template, {{ }}, that nothing has filled in; a variable of the environment is ${NAME}"},
        {WITH("    headers:\n      set:\n        A: @b\n"),
         "7:12: not valid YAML: a value that begins with @, ` or % is written in quotes"},
        {GOOD "workers:\xc2\xa0"
              "2\n",
         "2:1: not valid YAML: a no-break space (U+00A0) stands where a blank is meant"},
        {GOOD "log: {access: \"x}\n", "2:15: not valid YAML: a quote that is not closed"},
        {"\xff\xfe"
         "u\0",
         "1:1: not a text in UTF-8: it is UTF-16; save it as UTF-8"},
        {"a: &x 1\n",
         "1:4: anchors and aliases (&name, *name) are not supported; defaults has what all upstreams share"},
    };

    CHECK(cases);
}

static void lines_that_are_indented_or_closed_wrongly(void **state)
{
#define INDENTED                                                                                             \
    "not valid YAML: this line is indented like none above it; keys of one map begin in one column"
#define OPEN     "not valid YAML: a { or [ that is not closed, or a comma is missing"
#define SINCE(n) OPEN " (since line " n ")"
#define BEHIND   "not valid YAML: the value ends with a colon: what stands behind it is missing"
    static const struct meant cases[] = {
        {"upstreams:\n  p:\n    listen: 1\n   url: http://a\n", "4:4: " INDENTED},
        {WITH("    routes:\n    - path: /a\n     deadline: 1s\n"), "7:6: " INDENTED},
        {"upstreams:\n  p:\n    listen: 1\n      url: http://a\n",
         "4:10: not valid YAML: a key inside of a value: its line is indented deeper than the one above it, or quotes are "
         "missing around the value"},
        {"upstreams:\n  p:\n  listen: 1\n  url: http://a\n", "2:3: upstreams.p: has no value"},
        {"upstreams:\n  p: {listen: 1, url: http://a}\n  url: http://a\n",
         "3:8: upstreams.url: a map is needed here, not text; it belongs to an upstream, whose keys are indented deeper "
         "than its name"},
        {GOOD "q:\n  listen: 1\n  url: http://a\n",
         "2:1: q: unknown key; an upstream stands below \"upstreams\", and is indented deeper"},
        {"upstreams:\n  p: {listen: 1, url: http://a\nworkers: 1\n", "3:8: " SINCE("2")},
        {"upstreams:\n  p: {listen: 1 url: http://a}\n", "2:20: " OPEN},
        {"upstreams:\n  p:\n    url: http://a\n    listen: [1, 2\n", "5:1: " SINCE("4")},
        {GOOD "log: {level: info}}\n", "2:19: not valid YAML: the value has ended before this"},
        {LISTEN("unix:"), "4:17: " BEHIND},
        {LISTEN("127.0.0.1:"), "4:22: " BEHIND},
    };

    CHECK(cases);
}

static void variables_and_files_that_are_written_as_maps(void **state)
{
#define FIELD(map) WITH("    headers: {set: {A: " map "}}\n")
#define OF_A       "5:25: upstreams.p.headers.set.A."
    static const struct meant cases[] = {
        {FIELD("{file: /x, env.TOKEN}"),
         "5:35: upstreams.p.headers.set.A.env.TOKEN: unknown key; a variable of the environment is written ${NAME}, "
         "without a map"},
        {FIELD("{env: TOKEN, file: /x}"),
         OF_A "env: unknown key; a variable of the environment is written ${NAME}, in place of the map"},
        {FIELD("{path: /x, file: /x}"), OF_A "path: unknown key; did you mean \"file\"?"},
        {FIELD("{value: x, file: /x}"),
         OF_A "value: unknown key; a value that is no file's is written in place of the map"},
        {WITH("    routes: {path: /a, methods: '*'}\n"),
         "odd: 5:33: upstreams.p.routes.methods: \"*\" is a method like others; a route without methods takes them all"},
        {WITH("    routes: {path: /a, methods: [GET, ANY]}\n"),
         "odd: 5:39: upstreams.p.routes.methods[1]: \"ANY\" is a method like others; a route without methods takes them "
         "all"},
    };

    CHECK(cases);
}

static void patterns_in_paths_are_odd(void **state)
{
#define ODD(path, prefix)                                                                                    \
    "odd: 5:20: upstreams.p.routes.path: \"" path                                                            \
    "\" never matches as a pattern: a path stands for itself and all that is below it; did you mean "        \
    "\"" prefix "\"?"
#define ROUTE(path) WITH("    routes: {path: '" path "'}\n")
    static const struct meant cases[] = {
        {ROUTE("/v1/*"), ODD("/v1/*", "/v1")},
        {ROUTE("/v1/**"), ODD("/v1/**", "/v1")},
        {ROUTE("/*"), ODD("/*", "/")},
        {ROUTE("/v1/users/{id}/x"), ODD("/v1/users/{id}/x", "/v1/users")},
        {ROUTE("/v1//:id"), ODD("/v1//:id", "/v1")},
        {ROUTE("/v1/x.*"), ODD("/v1/x.*", "/v1")},
        {ROUTE("/v1$"), ODD("/v1$", "/")},
        /* A colon inside a segment is how some APIs write a method of a resource. */
        {ROUTE("/v1/users:list"), "nothing"},
        {ROUTE("/v1/:"), "nothing"},
        {ROUTE("/v1.0/a+b"), "nothing"},
        {ROUTE("/v1/{id"),
         "5:20: upstreams.p.routes.path: \"/v1/{id\": a character in the path must be percent-encoded"},
        {ROUTE("/a b/{id}"),
         "5:20: upstreams.p.routes.path: \"/a b/{id}\": a character in the path must be percent-encoded"},
        {ROUTE("/v1/[a-z]+"),
         "5:20: upstreams.p.routes.path: \"/v1/[a-z]+\": a character in the path must be percent-encoded"},
    };

    CHECK(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_other_programs),
        cmocka_unit_test(values_of_other_programs),
        cmocka_unit_test(addresses_of_other_programs),
        cmocka_unit_test(what_is_no_yaml),
        cmocka_unit_test(lines_that_are_indented_or_closed_wrongly),
        cmocka_unit_test(variables_and_files_that_are_written_as_maps),
        cmocka_unit_test(patterns_in_paths_are_odd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
