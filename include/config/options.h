#ifndef CURFEW_CONFIG_OPTIONS_H
#define CURFEW_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* The table of options (config/options.def). How a value of one is read: config/option_read. */

enum option_section {
    SECTION_NONE,
    SECTION_ROOT,
    SECTION_ADMIN,
    SECTION_LOG,
    SECTION_LIMITS,
    SECTION_DEFAULTS, /* has the options of SECTION_UPSTREAM */
    SECTION_POOL,
    SECTION_ADAPT,
    SECTION_RATE,
    SECTION_BREAKER,
    SECTION_PAUSE,
    SECTION_UPSTREAM,
    SECTION_TIMEOUTS,
    SECTION_MIN_RATE,
    SECTION_STREAMS,
    SECTION_UPGRADE,
    SECTION_PROXY,
    SECTION_CALLER_DEADLINE,
    SECTION_TLS,
    SECTION_CALLER_TLS,
    SECTION_HTTP2,
    SECTION_KEEPALIVE,
    SECTION_ADDRESSES,
    SECTION_EJECT,
    SECTION_DNS,
    SECTION_HEADERS,
    SECTION_FIELD,
    SECTION_ROUTE,
    SECTION_LISTENER,
    SECTION_RETRIES,
    SECTION_BACKOFF,
    SECTION_BUDGET,
    SECTION_REPEAT,
    SECTION_FORWARD,
    SECTION_TUNNEL,
    SECTION_DESTINATION,
    SECTION_FLEET,
    SECTION_PASSWORD,
};

enum option_type {
    OPTION_DURATION,
    OPTION_SIZE,
    OPTION_INTEGER,
    OPTION_PERCENT,
    OPTION_RATE,
    OPTION_BOOL,
    OPTION_CHOICE,
    OPTION_TEXT,
    OPTION_TEXTS,
    OPTION_LISTENER,
    OPTION_LISTENERS,
    OPTION_FIELDS,
    OPTION_MAP,
    OPTION_MAPS,
    OPTION_LIST,
    OPTION_TEXT_OR_MAP,
    OPTION_APART,
};

/* OPT_UPSTREAM_DEADLINE and so on, in the order of the table. */
enum option_id {
#define OPTION(section, id, key, type, fallback, values, meaning, example) OPT_##section##_##id,
#define NESTED(section, id, key, type, inner, meaning)                     OPT_##section##_##id,
#include "config/options.def"
#undef OPTION
#undef NESTED
    OPT_COUNT
};

struct option {
    enum option_section section;
    const char *key;
    enum option_type type;
    enum option_section inner; /* of the nested types */
    const char *fallback;      /* the default; NULL of the nested types */
    const char *values;
};

extern const struct option option_table[OPT_COUNT];

/* NULL if the section has no such option. */
const struct option *option_find(enum option_section section, struct span key);

/* Is it an option of this section? */
bool option_is_in(const struct option *option, enum option_section section);

/* Is its value one number, which option_read reads? */
bool option_is_number(const struct option *option);

#endif
