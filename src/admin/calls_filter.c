#include "admin/calls_filter.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>

#include "admin/labels.h"
#include "base/number.h"

#define LIMIT_DEFAULT 100

struct reading {
    const struct proxy *proxy;
    struct call_top_filter *filter;
    char *why;
    size_t why_cap;
};

static bool read_older(const struct reading *reading, const char *value)
{
    if (number_duration(span_of(value), &reading->filter->older_ns) == NUMBER_OK)
        return true;
    snprintf(reading->why, reading->why_cap, "older is a duration, such as 500ms or 10s.");
    return false;
}

static bool read_upstream(const struct reading *reading, const char *value)
{
    const struct numbering *numbering = &reading->proxy->numbering;
    struct labels labels;
    bool is_there = false;

    if (labels_init(&labels, reading->proxy, numbering->upstreams.count, numbering->routes.count)) {
        for (uint32_t i = 0; i < labels.upstream_count && !is_there; i++) {
            is_there = labels.upstreams[i] && strcmp(labels.upstreams[i], value) == 0;
            reading->filter->upstream = i;
        }
    }
    labels_fini(&labels);
    if (!is_there)
        snprintf(reading->why, reading->why_cap, "There is no upstream \"%.64s\".", value);
    return is_there;
}

static bool read_phase(const struct reading *reading, const char *value)
{
    static const char phases[] = "phase is one of"
#define PHASE(id, name) " " name
#include "core/phases.def"
#undef PHASE
                                 ".";

    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        if (strcmp(phase_name(phase), value) == 0) {
            reading->filter->phases = 1u << phase;
            return true;
        }
    }
    snprintf(reading->why, reading->why_cap, "%s", phases);
    return false;
}

static bool read_limit(const struct reading *reading, const char *value)
{
    uint64_t limit;

    if (number_u64(span_of(value), &limit) == NUMBER_OK && limit >= 1 && limit <= CALL_TOP_MAX) {
        reading->filter->limit = (uint32_t)limit;
        return true;
    }
    snprintf(reading->why, reading->why_cap, "limit is a number from 1 to %u.", CALL_TOP_MAX);
    return false;
}

static bool read_sort(const struct reading *reading, const char *value)
{
    bool by_age = strcmp(value, "age") == 0;

    reading->filter->order = by_age ? CALL_TOP_BY_AGE : CALL_TOP_BY_LEFT;
    if (by_age || strcmp(value, "left") == 0)
        return true;
    snprintf(reading->why, reading->why_cap, "sort is left or age.");
    return false;
}

static const struct {
    const char *key;
    bool (*read)(const struct reading *reading, const char *value);
} keys[] = {{"older", read_older},
            {"upstream", read_upstream},
            {"phase", read_phase},
            {"limit", read_limit},
            {"sort", read_sort}};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static bool read_one(const struct reading *reading, const struct evkeyval *pair, unsigned *seen)
{
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].key, pair->key) != 0)
            continue;
        if ((*seen & (1u << i)) != 0) {
            snprintf(reading->why, reading->why_cap, "%s is there twice.", pair->key);
            return false;
        }
        *seen |= 1u << i;
        return keys[i].read(reading, pair->value);
    }
    snprintf(reading->why, reading->why_cap,
             "There is no filter \"%.64s\"; there are older, upstream, phase, limit and sort.", pair->key);
    return false;
}

/* Bytes of the query are part of it, which may be no UTF-8, or steer the terminal that it is shown on. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

bool calls_filter_read(const char *query, const struct proxy *proxy, struct call_top_filter *filter,
                       char *why, size_t why_cap)
{
    const struct reading reading = {proxy, filter, why, why_cap};
    struct evkeyvalq pairs;
    const struct evkeyval *pair;
    unsigned seen = 0;
    bool is_good = true;

    *filter = (struct call_top_filter){
        .upstream = CALL_TOP_ANY, .phases = CALL_TOP_ALL_PHASES, .limit = LIMIT_DEFAULT};
    if (query == NULL || query[0] == '\0')
        return true;
    /* An escaped NUL would end a value before its end. */
    if (strstr(query, "%00") != NULL || evhttp_parse_query_str(query, &pairs) < 0) {
        snprintf(why, why_cap, "The query is not of the form KEY=VALUE&KEY=VALUE.");
        return false;
    }
    for (pair = pairs.tqh_first; pair != NULL && is_good; pair = pair->next.tqe_next)
        is_good = read_one(&reading, pair, &seen);
    evhttp_clear_headers(&pairs);
    if (!is_good)
        make_printable(why);
    return is_good;
}

bool calls_filter_read_id(const char *text, struct call_top_filter *filter)
{
    *filter = (struct call_top_filter){.upstream = CALL_TOP_ANY, .phases = CALL_TOP_ALL_PHASES, .limit = 1};
    return number_hex(span_of(text), &filter->id) == NUMBER_OK && filter->id != 0;
}
