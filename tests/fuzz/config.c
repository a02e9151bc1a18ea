/*
 * Configuration files: whatever the bytes are, config_load_all gives a snapshot that can be worked with, or says where in
 * which file it is wrong, or has no memory; and leaks nothing.
 *
 * Input: the file, or several with a form feed between them, which no YAML can hold.
 */
#include "base/mem.h"
#include "base/number.h"
#include "config/load.h"
#include "config/yaml_tree.h"
#include "http/forward.h"
#include "core/route.h"
#include "fuzz.h"

#define HOURS_24 (24 * 3600 * NS_PER_S)

/* Files that the configuration names: what stands in them is what they are called, so that it can be anything. */
static char *read_named(void *arg, const char *path, size_t *len, const char **why)
{
    (void)arg;
    *len = strlen(path);
    if (strncmp(path, "/none", 5) != 0)
        return mem_dup(path, *len);
    *why = "No such file or directory";
    return NULL;
}

static bool find_group(void *arg, const char *name, uint32_t *number)
{
    (void)arg;
    *number = 7;
    return name[0] == 'g';
}

/* The name's first letter says what a variable has; one that is not here is not set. */
static const char *find_variable(void *arg, const char *name)
{
    static const char *const values[26] = {
        ['A' - 'A'] = "1m",   ['E' - 'A'] = "",      ['H' - 'A'] = "http://a",  ['L' - 'A'] = "127.0.0.1:0",
        ['R' - 'A'] = "${A}", ['Y' - 'A'] = "{a: b", ['Z' - 'A'] = "\x01\xff\n"};

    (void)arg;
    return name[0] >= 'A' && name[0] <= 'Z' ? values[name[0] - 'A'] : NULL;
}

static const struct config_files files = {.read = read_named, .group = find_group, .variable = find_variable};

#define SOURCES_MAX 4

struct config_input {
    struct config_source sources[SOURCES_MAX];
    uint32_t count;
};

static struct config_input split(struct span bytes)
{
    static const char *const names[SOURCES_MAX] = {"a", "b", "c", "d"};
    struct config_input input = {0};

    for (;;) {
        const char *feed =
            input.count + 1 < SOURCES_MAX && bytes.len != 0 ? memchr(bytes.ptr, '\f', bytes.len) : NULL;
        size_t len = feed != NULL ? (size_t)(feed - bytes.ptr) : bytes.len;

        input.sources[input.count] =
            (struct config_source){.name = names[input.count], .bytes = {bytes.ptr, len}};
        input.count++;
        if (feed == NULL)
            return input;
        bytes = (struct span){feed + 1, bytes.len - len - 1};
    }
}

/* ---- what is wrong ------------------------------------------------------------------------------------- */

/*
 * At most: NEL, LS and PS end a line for YAML, too, and the end of a file that ends without one is on a line of its
 * own.
 */
static uint32_t count_lines(struct span bytes)
{
    uint32_t lines = 2;

    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        lines += c == '\n' || c == '\r' || c == 0x85 || c == 0xa8 || c == 0xa9;
    }
    return lines;
}

static void check_error(const struct config_error *error, const struct config_input *input)
{
    size_t len = strnlen(error->text, sizeof(error->text));
    struct span bytes;

    MUST(error->file_index < input->count);
    MUST(strcmp(error->file, input->sources[error->file_index].name) == 0);
    bytes = input->sources[error->file_index].bytes;
    MUST(error->path_len < len);
    MUST(error->line >= 1 && error->line <= count_lines(bytes));
    MUST(error->column >= 1 && error->column <= bytes.len + 1);
    MUST(len != 0 && len < sizeof(error->text));
    for (size_t i = 0; i < len; i++)
        MUST((unsigned char)error->text[i] >= 0x20 && error->text[i] != 0x7f);
}

static bool is_in_order(const struct config_error *a, const struct config_error *b)
{
    if (a->file_index != b->file_index)
        return a->file_index < b->file_index;
    return a->line < b->line || (a->line == b->line && a->column <= b->column);
}

static void check_errors(const struct config_errors *errors, const struct config_input *input)
{
    for (uint32_t i = 0; i < errors->count && i < CONFIG_ERRORS_MAX; i++) {
        check_error(&errors->list[i], input);
        MUST(i == 0 || is_in_order(&errors->list[i - 1], &errors->list[i]));
    }
}

/* ---- a snapshot ---------------------------------------------------------------------------------------- */

static bool is_limit(int64_t ns)
{
    return ns == NS_NEVER || (ns >= NS_PER_MS && ns <= HOURS_24);
}

static void check_streams(const struct streams_config *streams)
{
    MUST(streams->deadline_ns != NS_NEVER && is_limit(streams->deadline_ns));
    MUST(is_limit(streams->first_event_ns) && is_limit(streams->idle_ns));
    MUST(streams->type_count != 0 && streams->events.ignore_count <= SSE_IGNORE_MAX);
    for (uint32_t i = 0; i < streams->type_count; i++)
        MUST(streams_take(streams, streams->types[i]));
}

static void check_route(const struct snapshot *snapshot, const struct route_config *route)
{
    MUST(route->name != NULL && route->name[0] != '\0' && route->pool < snapshot->pool_count);
    MUST(route->index < snapshot->route_count);
    MUST(route->deadline_ns >= NS_PER_MS && route->deadline_ns <= HOURS_24);
    MUST(is_limit(route->connect_ns) && is_limit(route->first_byte_ns) && is_limit(route->begin_ns) &&
         is_limit(route->idle_ns));
    if (route->streams != NULL)
        check_streams(route->streams);
    MUST((route->min_rate.bytes == 0) == (route->min_rate.per_ns == 0) && route->min_rate.bytes <= UINT64_C(1)
                                                                                                       << 30);
}

/* A request for a route's path, by a method of its own, finds it. */
static void check_routes(const struct snapshot *snapshot, const struct upstream_config *upstream)
{
    check_route(snapshot, &upstream->default_route);
    for (uint32_t i = 0; i < upstream->route_count; i++) {
        const struct route_entry *entry = &upstream->route_entries[i];
        struct span method = entry->method_count != 0 ? entry->methods[0] : SPAN_LIT("NOBODYS");

        check_route(snapshot, &upstream->routes[i]);
        MUST(entry->id < upstream->route_count && entry->path.len != 0 && entry->path.ptr[0] == '/');
        MUST(route_find(upstream->route_entries, upstream->route_count, entry->path, method, UINT32_MAX) ==
             entry->id);
    }
}

/* Whatever the file sets, a request that is sent by its rules is one sound request. */
static void check_rules(const struct forward_rules *rules)
{
    static struct http1_field fields[8], sent_fields[HTTP1_FIELDS_IN(YAML_BYTES_MAX)];
    static struct http1_head head = HTTP1_HEAD_OVER(fields), sent = HTTP1_HEAD_OVER(sent_fields);
    static char block[YAML_BYTES_MAX + 1024];
    struct span request =
        SPAN_LIT("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-A: b\r\nCookie: c\r\n\r\n");
    struct text text = text_over(block, sizeof(block));
    struct http1_scan scan = {0};
    const char *detail;
    struct span found;
    enum cause cause;
    size_t end;

    MUST(http1_parse_request(request, &head, &detail) == CAUSE_NONE);
    forward_request_head(&text, &head, rules, (struct forwarded_caller){SPAN_LIT("192.0.2.1"), false},
                         SPAN_LIT(""));
    TEXT_LIT(&text, "\r\n");
    MUST(!text.overflow);
    MUST(http1_scan(&scan, text_span(&text), &found, &end) == HTTP1_DONE && end == text.len &&
         found.len == end);
    cause = http1_parse_request(found, &sent, &detail);
    MUST(cause == CAUSE_NONE && sent.framing == HTTP1_LENGTH && sent.content_length == 3);
    MUST(span_eq(sent.host, rules->host) && sent.path.len == rules->base_path.len + 2);
}

static void check_upstream(const struct snapshot *snapshot, const struct upstream_config *upstream)
{
    MUST(upstream->name != NULL && upstream->name[0] != '\0' && upstream->origin.host != NULL &&
         upstream->origin.port != 0);
    MUST(upstream->listen_count != 0);
    MUST(!upstream->tls.enabled || upstream->tls.spec.server_name != NULL);
    MUST((upstream->tls.spec.cert_file == NULL) == (upstream->tls.spec.key_file == NULL));
    for (uint32_t i = 0; i < upstream->caller_deadline.header_count; i++)
        MUST(http1_is_token(upstream->caller_deadline.headers[i]));
    for (uint32_t i = 0; i < upstream->rules.dropped_count; i++)
        MUST(http1_is_token(upstream->rules.dropped[i]));
    check_routes(snapshot, upstream);
    check_rules(&upstream->rules);
}

static void check_snapshot(const struct snapshot *snapshot)
{
    MUST(snapshot->upstream_count != 0 && snapshot->workers <= 256);
    MUST(snapshot->drain_ns >= 0 && snapshot->drain_ns <= HOURS_24);
    MUST(snapshot->drain_delay_ns >= 0 && snapshot->drain_delay_ns <= HOURS_24);
    MUST(snapshot->limits.connections != 0 && snapshot->limits.request_head_bytes >= 1024);
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *pool = &snapshot->pools[i];

        MUST(pool->name != NULL && pool->size >= 1 && pool->size <= 1000000 && pool->queue_size <= 1000000);
        MUST(is_limit(pool->queue_timeout_ns));
    }
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        check_upstream(snapshot, &snapshot->upstreams[i]);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

struct allocations {
    uint32_t made, fails_at;
};

static bool fail_one(void *arg, size_t size)
{
    struct allocations *allocations = arg;

    (void)size;
    return ++allocations->made == allocations->fails_at;
}

static enum status load(struct config_input *input, struct config_errors *errors, struct snapshot **snapshot,
                        struct allocations *allocations)
{
    static struct config_errors warnings;
    enum status status;

    *snapshot = NULL;
    warnings.count = 0;
    errors->warnings = &warnings;
    mem_set_fault(fail_one, allocations);
    status = config_load_all(input->sources, input->count, &files, snapshot, errors);
    mem_set_fault(NULL, NULL);
    MUST((status == ST_OK) == (*snapshot != NULL));
    return status;
}

/* The same file once more, with one of its allocations failing; which one is up to the bytes. */
static void fail_an_allocation(struct config_input *input, struct span bytes, uint32_t made)
{
    static struct config_errors errors;
    struct allocations allocations = {0};
    struct snapshot *snapshot;
    uint32_t lot = 0;

    for (size_t i = 0; i < bytes.len; i++)
        lot = lot * 31 + (uint8_t)bytes.ptr[i];
    allocations.fails_at = 1 + lot % made;
    MUST(load(input, &errors, &snapshot, &allocations) == ST_NOMEM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct config_errors errors;
    struct span bytes = {(const char *)(const void *)data, len};
    struct config_input input = split(bytes);
    struct allocations allocations = {0};
    struct snapshot *snapshot;
    enum status status;

    status = load(&input, &errors, &snapshot, &allocations);
    MUST(status == ST_OK || status == ST_BAD);
    check_errors(errors.warnings, &input);
    if (status == ST_BAD) {
        MUST(errors.count != 0);
        check_errors(&errors, &input);
    } else {
        MUST(errors.count == 0);
        check_snapshot(snapshot);
        snapshot_free(snapshot);
    }
    fail_an_allocation(&input, bytes, allocations.made);
    return 0;
}
