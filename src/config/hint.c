#include "config/hint.h"

#include "base/number.h"
#include "config/suggest.h"
#include "config/yaml_hint.h"

/* ---- keys ------------------------------------------------------------------------------------------------------- */

#define ALWAYS_VERIFIED                                                                                      \
    "the certificate's chain and name are always verified; tls.ca_file names the authorities that are trusted"
#define SIZE_OF_POOL "how many calls may be at the API at once is pool: {size: 50}"

/* Words of other programs, by the section that they are written in. */
static const struct {
    enum option_section section;
    const char *words; /* each between blanks */
    const char *hint;
} table[] = {
    {SECTION_ROOT, " services apis backends servers proxies clusters hosts ", "did you mean \"upstreams\"?"},
    {SECTION_ROOT, " log_level loglevel ", "that is log: {level: info}"},
    {SECTION_ROOT, " access_log accesslog ", "that is log: {access: stdout}"},
    {SECTION_ROOT, " listen bind port ", "an upstream has it, and the admin listener: admin: {listen: 9600}"},
    {SECTION_ROOT, " metrics prometheus ", "metrics are served by the admin listener: admin: {listen: 9600}"},
    {SECTION_UPSTREAM, " port bind address bind_address listener ", "did you mean \"listen\"?"},
    {SECTION_UPSTREAM,
     " host target backend server upstream uri endpoint base_url proxy_pass destination to ",
     "did you mean \"url\"?"},
    {SECTION_UPSTREAM, " verify insecure insecure_skip_verify skip_verify tls_verify verify_ssl ",
     ALWAYS_VERIFIED},
    {SECTION_TLS, " verify insecure insecure_skip_verify skip_verify verify_hostname verify_mode ",
     ALWAYS_VERIFIED},
    {SECTION_UPSTREAM,
     " max_connections maxconn concurrency max_concurrency max_concurrent max_in_flight limit permits ",
     SIZE_OF_POOL},
    {SECTION_UPSTREAM, " path paths methods ", "a route has it: routes: [{path: /v1}]"},
    {SECTION_UPSTREAM, " ssl https ", "did you mean \"tls\"?"},
    {SECTION_TLS, " ca cacert ca_cert ca_certs cafile root_ca ", "did you mean \"ca_file\"?"},
    {SECTION_TLS, " cert certificate client_cert certfile crt ", "did you mean \"cert_file\"?"},
    {SECTION_TLS, " key private_key client_key keyfile ", "did you mean \"key_file\"?"},
    {SECTION_TLS, " sni servername hostname ", "did you mean \"server_name\"?"},
    {SECTION_POOL, " max max_size maxsize workers permits limit connections concurrency ",
     "did you mean \"size\"?"},
    {SECTION_POOL, " timeout wait max_wait ", "did you mean \"queue_timeout\"?"},
    {SECTION_POOL, " queue_size max_queue waiters pending backlog ", "did you mean \"queue\"?"},
    {SECTION_TIMEOUTS, " connect_timeout connection tcp tls handshake dns ", "did you mean \"connect\"?"},
    {SECTION_TIMEOUTS, " read response ttfb header headers response_header read_timeout response_timeout ",
     "did you mean \"first_byte\"?"},
    {SECTION_TIMEOUTS, " ttft first_token first_content start ", "did you mean \"begin\"?"},
    {SECTION_TIMEOUTS, " first_event stream streams ",
     "it belongs into streams, beside timeouts: {first_event: 20s}"},
    {SECTION_UPSTREAM, " stream sse streaming event_stream ", "did you mean \"streams\"?"},
    {SECTION_UPSTREAM, " http_proxy https_proxy via_proxy outbound_proxy ", "did you mean \"proxy\"?"},
    {SECTION_FORWARD, " http_proxy https_proxy via_proxy outbound_proxy upstream_proxy parent ",
     "did you mean \"proxy\"?"},
    {SECTION_PROXY, " address host server ", "did you mean \"url\"?"},
    {SECTION_PROXY, " auth credentials password token proxy_authorization ",
     "did you mean \"authorization\"?"},
    {SECTION_UPSTREAM, " websocket websockets ws upgrades tunnel tunnels ", "did you mean \"upgrade\"?"},
    {SECTION_UPGRADE, " idle_timeout timeout ping inactivity ", "did you mean \"idle\"?"},
    {SECTION_UPGRADE, " deadline max max_age duration total ttl ", "did you mean \"lifetime\"?"},
    {SECTION_UPGRADE, " protocol allow types ", "did you mean \"protocols\"?"},
    {SECTION_STREAMS, " total timeout max lifetime ", "did you mean \"deadline\"?"},
    {SECTION_STREAMS, " ttft first_byte first_token begin start ", "did you mean \"first_event\"?"},
    {SECTION_STREAMS, " gap idle_timeout stall read ", "did you mean \"idle\"?"},
    {SECTION_STREAMS, " content_types media_types type ", "did you mean \"types\"?"},
    {SECTION_TIMEOUTS, " total request deadline overall call ",
     "the limit of a whole call is deadline, beside timeouts"},
    {SECTION_TIMEOUTS, " write send idle_timeout write_timeout send_timeout ", "did you mean \"idle\"?"},
    {SECTION_HEADERS, " add append request override ", "did you mean \"set\"?"},
    {SECTION_HEADERS, " delete del drop unset hide ", "did you mean \"remove\"?"},
    {SECTION_FIELD, " env var variable environment secret ",
     "a variable of the environment is written ${NAME}, in place of the map"},
    {SECTION_FIELD, " path from source ", "did you mean \"file\"?"},
    {SECTION_FIELD, " value text ", "a value that is no file's is written in place of the map"},
    {SECTION_ROUTE, " prefix match location uri pattern ", "did you mean \"path\"?"},
    {SECTION_ROUTE, " verb verbs ", "did you mean \"methods\"?"},
    {SECTION_LOG, " file path output access_log ", "did you mean \"access\"?"},
    {SECTION_LISTENER, " path listen unix socket ", "did you mean \"address\"?"},
    {SECTION_LISTENER, " port host bind ip ", "an address is a port, or HOST:PORT: {address: 8080}"},
    {SECTION_LISTENER, " owner user permissions ", "a unix socket has mode and group"},
};

static bool is_among(const char *words, struct span word)
{
    for (const char *at = words + 1; *at != '\0'; at += strcspn(at, " ") + 1) {
        if (span_eq((struct span){at, strcspn(at, " ")}, word))
            return true;
    }
    return false;
}

static bool put_from_table(enum option_section section, struct span key, struct text *out)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].section == section && is_among(table[i].words, key)) {
            text_put(out, span_of(table[i].hint));
            return true;
        }
    }
    return false;
}

/* "queueTimeout" and "queue-timeout" as this file has them. */
static struct span normalise(struct span key, char *block, size_t cap)
{
    struct text out = text_over(block, cap);

    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool is_upper = c >= 'A' && c <= 'Z';

        if (is_upper && i != 0 && key.ptr[i - 1] >= 'a' && key.ptr[i - 1] <= 'z')
            TEXT_LIT(&out, "_");
        c = is_upper ? (char)(c | 0x20) : c == '-' ? '_' : c;
        text_bytes(&out, &c, 1);
    }
    return out.overflow ? key : text_span(&out);
}

static bool put_nearest(enum option_section section, struct span key, struct text *out)
{
    struct suggestion suggestion = suggest_for(key);

    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (option_is_in(&option_table[i], section))
            suggest_offer(&suggestion, span_of(option_table[i].key));
    }
    if (suggestion.best.len == 0)
        return false;
    TEXT_LIT(out, "did you mean \"");
    text_put(out, suggestion.best);
    TEXT_LIT(out, "\"?");
    return true;
}

/* A key of a map that the section has, such as `size` beside `pool`. */
static bool put_if_inside(enum option_section section, struct span key, struct text *out)
{
    for (size_t i = 0; i < OPT_COUNT; i++) {
        const struct option *option = &option_table[i];
        bool is_map =
            option->type == OPTION_MAP || option->type == OPTION_TEXT_OR_MAP || option->type == OPTION_APART;

        if (!is_map || option->inner == SECTION_DEFAULTS || !option_is_in(option, section) ||
            !option_find(option->inner, key))
            continue;
        TEXT_LIT(out, "it belongs into ");
        text_put(out, span_of(option->key));
        TEXT_LIT(out, ": {");
        text_put(out, key);
        TEXT_LIT(out, ": …}");
        return true;
    }
    return false;
}

static bool put_if_elsewhere(enum option_section section, struct span key, struct text *out)
{
    bool is_of_upstream = option_find(SECTION_UPSTREAM, key) != NULL;
    bool is_of_root = option_find(SECTION_ROOT, key) != NULL;

    if (section == SECTION_ROOT && is_of_upstream)
        TEXT_LIT(out, "it belongs to an upstream, or into defaults for all of them");
    else if (section == SECTION_ROUTE && is_of_upstream)
        TEXT_LIT(out, "it belongs to the upstream, not to one of its routes");
    else if (section == SECTION_UPSTREAM && is_of_root)
        TEXT_LIT(out, "it belongs to the top of the file");
    else
        return false;
    return true;
}

/* "timeout: 2s" is a deadline, "timeout: {connect: 1s}" a word of which the end is missing. */
static bool put_timeout(enum option_section section, const struct yaml_node *member, struct text *out)
{
    if (!span_eq(member->key, SPAN_LIT("timeout")) ||
        (section == SECTION_UPSTREAM && member->kind != YAML_TEXT))
        return false;
    if (section == SECTION_UPSTREAM || section == SECTION_ROUTE)
        TEXT_LIT(out, "the limit of a whole call is \"deadline\", limits within it are in \"timeouts\"");
    else if (section == SECTION_ROOT)
        TEXT_LIT(out,
                 "the limit of a whole call is the deadline of its upstream, or of defaults for all of them");
    else
        return false;
    return true;
}

/* "headers: {X-Key: y}". */
static bool put_field(enum option_section section, const struct yaml_node *member, struct text *out)
{
    if (section != SECTION_HEADERS || member->key.len > 64)
        return false;
    TEXT_LIT(out, "a field is set by set: {");
    yaml_node_put_key(out, member->key);
    TEXT_LIT(out, ": …}");
    return true;
}

static bool is_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return s.len != 0;
}

bool hint_key(enum option_section section, const struct yaml_node *member, struct text *out)
{
    enum option_section known = section == SECTION_DEFAULTS ? SECTION_UPSTREAM : section;
    char block[64];
    struct span key = normalise(member->key, block, sizeof(block));

    if (span_eq(member->key, SPAN_LIT("<<"))) {
        TEXT_LIT(out, "merge keys are not supported; defaults has what all upstreams share");
        return true;
    }
    if (yaml_hint_lacks_blank(member->key)) {
        TEXT_LIT(out, "a blank is missing behind the colon: a key and its value are written key: value");
        return true;
    }
    if (section == SECTION_ROUTE && member->key.ptr[0] == '/') {
        TEXT_LIT(out, "a list of maps is meant here: [{path: /v1, deadline: 2s}]");
        return true;
    }
    if (section == SECTION_ROOT && member->kind == YAML_MAP && yaml_node_get(member, SPAN_LIT("url"))) {
        TEXT_LIT(out, "an upstream stands below \"upstreams\", and is indented deeper");
        return true;
    }
    /* X: {TOKEN}, or {env.TOKEN}: a map, to YAML. */
    if (section == SECTION_FIELD && member->is_null) {
        TEXT_LIT(out, "a variable of the environment is written ${NAME}, without a map");
        return true;
    }
    if (member->is_null && is_digits(member->key)) {
        TEXT_LIT(out, "a number is written without commas");
        return true;
    }
    return put_timeout(known, member, out) || put_from_table(known, key, out) ||
           put_nearest(known, key, out) || put_if_inside(known, key, out) ||
           put_if_elsewhere(known, key, out) || put_field(known, member, out);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *words;
    const char *unit;
} units_of_time[] =
    {
        {" us usec µs microseconds ", "us"},  {" ms msec msecs millis millisecond milliseconds ", "ms"},
        {" s sec secs second seconds ", "s"}, {" m min mins minute minutes ", "m"},
        {" h hr hrs hour hours ", "h"},
},
  units_of_size[] = {
      {" b byte bytes ", "B"},
      {" k kb kib ki kbyte kilobytes ", "KiB"},
      {" m mb mib mi mbyte megabytes ", "MiB"},
      {" g gb gib gi ", "GiB"},
};

/* In lower case, without the blanks and underscores in it. False: too long. */
static bool squeeze(struct span value, struct text *out)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        c = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        if (c != ' ' && c != '\t' && c != '_')
            text_bytes(out, &c, 1);
    }
    return !out->overflow;
}

static size_t count_number(struct span s)
{
    size_t len = 0;

    while (len < s.len && ((s.ptr[len] >= '0' && s.ptr[len] <= '9') || s.ptr[len] == '.'))
        len++;
    return len;
}

/* A number and a word: the same with the unit that the word stands for. */
static bool put_quantity(enum option_type type, struct span s, struct text *out)
{
    bool is_time = type == OPTION_DURATION;
    size_t count = is_time ? sizeof(units_of_time) / sizeof(units_of_time[0])
                           : sizeof(units_of_size) / sizeof(units_of_size[0]);
    struct span number = {s.ptr, count_number(s)}, word = {s.ptr + number.len, s.len - number.len};
    int64_t ns;
    uint64_t bytes;

    for (size_t i = 0; i < count && word.len != 0; i++) {
        if (!is_among(is_time ? units_of_time[i].words : units_of_size[i].words, word))
            continue;
        text_put(out, number);
        text_put(out, span_of(is_time ? units_of_time[i].unit : units_of_size[i].unit));
        return is_time ? number_duration(text_span(out), &ns) == NUMBER_OK
                       : number_size(text_span(out), &bytes) == NUMBER_OK;
    }
    return false;
}

/* "100/sec", "100r/s", "100 rps" and "100 per minute"; of a number alone, a second is meant. */
static bool put_rate(struct span s, struct text *out)
{
    struct span number = {s.ptr, count_number(s)}, word = {s.ptr + number.len, s.len - number.len};
    uint64_t per_hour;

    for (size_t i = 0; i < 3; i++) {
        static const char *const ways[] = {"/", "r/", "per"};
        size_t len = strlen(ways[i]);

        if (word.len > len && memcmp(word.ptr, ways[i], len) == 0) {
            word = (struct span){word.ptr + len, word.len - len};
            break;
        }
    }
    text_put(out, number);
    if (word.len == 0 || is_among(" rps r/s ", word) || is_among(units_of_time[2].words, word))
        TEXT_LIT(out, "/s");
    else if (is_among(" rpm ", word) || is_among(units_of_time[3].words, word))
        TEXT_LIT(out, "/m");
    else if (is_among(" rph ", word) || is_among(units_of_time[4].words, word))
        TEXT_LIT(out, "/h");
    return number_rate(text_span(out), &per_hour) == NUMBER_OK;
}

/* Days have no unit here. */
static bool put_days(struct span s, struct text *out)
{
    struct span number = {s.ptr, count_number(s)}, word = {s.ptr + number.len, s.len - number.len};
    uint64_t days;

    if (!is_among(" d day days ", word) || number_u64(number, &days) != NUMBER_OK || days > 1000)
        return false;
    text_u64(out, days * 24);
    TEXT_LIT(out, "h");
    return true;
}

static bool put_bool(struct span s, struct text *out)
{
    bool is_true = is_among(" true yes y on 1 enabled ", s),
         is_false = is_among(" false no n off 0 disabled ", s);

    text_put(out, is_true ? SPAN_LIT("true") : SPAN_LIT("false"));
    return is_true || is_false;
}

/* "10_000" and "10,000". */
static bool put_integer(struct span s, struct text *out)
{
    uint64_t n;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != ',' && s.ptr[i] != '+')
            text_bytes(out, &s.ptr[i], 1);
    }
    return number_u64(text_span(out), &n) == NUMBER_OK;
}

bool hint_value(enum option_type type, struct span value, struct text *out)
{
    char block[48];
    struct text squeezed = text_over(block, sizeof(block));

    if (!squeeze(value, &squeezed) || squeezed.len == 0)
        return false;
    switch (type) {
    case OPTION_DURATION:
        return put_quantity(type, text_span(&squeezed), out) || put_days(text_span(&squeezed), out);
    case OPTION_SIZE: return put_quantity(type, text_span(&squeezed), out);
    case OPTION_INTEGER: return put_integer(text_span(&squeezed), out);
    case OPTION_RATE: return put_rate(text_span(&squeezed), out);
    case OPTION_BOOL: return put_bool(text_span(&squeezed), out);
    default: return false;
    }
}

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

static const struct {
    enum option_id id;
    enum yaml_kind kind;
    const char *hint;
} shapes[] = {
    {OPT_ROOT_UPSTREAMS, YAML_LIST, "each is written with its name before it: NAME: {listen: …, url: …}"},
    {OPT_ROOT_POOLS, YAML_LIST, "each is written with its name before it: NAME: {size: 50}"},
    {OPT_POOL_ADAPT, YAML_LIST, "write adapt: {when: [429, 503]}"},
    {OPT_ROOT_ADMIN, YAML_TEXT, "write admin: {listen: 127.0.0.1:9600}"},
    {OPT_ROOT_LOG, YAML_TEXT, "write log: {level: info, access: stdout}"},
    {OPT_POOL_RATE, YAML_LIST, "write rate: {limit: 100/s, burst: 20}"},
    {OPT_ROOT_FLEET, YAML_TEXT, "write fleet: {name: NAME, store: redis://HOST:6379, hosts: 3}"},
    {OPT_FLEET_PASSWORD, YAML_TEXT, "a password stands in a file: write password: {file: /PATH}"},
    {OPT_UPSTREAM_TIMEOUTS, YAML_TEXT, "the limit of a whole call is \"deadline\""},
    {OPT_ROUTE_TIMEOUTS, YAML_TEXT, "the limit of a whole call is \"deadline\""},
    {OPT_UPSTREAM_HTTP2, YAML_TEXT, "write http2: {use: auto}"},
    {OPT_UPSTREAM_TLS, YAML_TEXT, "https:// in the url is all it takes"},
    {OPT_UPSTREAM_CALLER_DEADLINE, YAML_TEXT, "write caller_deadline: {headers: [NAME]}"},
    {OPT_UPSTREAM_CALLER_DEADLINE, YAML_LIST, "write caller_deadline: {headers: [NAME]}"},
    {OPT_UPSTREAM_KEEPALIVE, YAML_TEXT, "write keepalive: {idle_timeout: 30s}, or {max_idle: 0} for none"},
    {OPT_UPSTREAM_HEADERS, YAML_LIST, "write headers: {set: {NAME: VALUE}}"},
    {OPT_HEADERS_SET, YAML_LIST, "write set: {NAME: VALUE}"},
    {OPT_UPSTREAM_ROUTES, YAML_TEXT, "write routes: [{path: /v1, deadline: 2s}]"},
};

/* "url: …" beside the name of its upstream, not below it. */
static bool is_key_among_names(const struct yaml_node *node)
{
    const struct yaml_node *parent = node->parent;

    return parent && parent->parent && !parent->parent->parent &&
           span_eq(parent->key, SPAN_LIT("upstreams")) && option_find(SECTION_UPSTREAM, node->key);
}

const char *hint_shape(const struct option *option, const struct yaml_node *node)
{
    if (!option && node->kind != YAML_MAP && is_key_among_names(node))
        return "it belongs to an upstream, whose keys are indented deeper than its name";
    if (node->kind == YAML_TEXT && yaml_hint_line(node->text))
        return yaml_hint_line(node->text);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (option == &option_table[shapes[i].id] && shapes[i].kind == node->kind)
            return shapes[i].hint;
    }
    return NULL;
}

/* ---- patterns --------------------------------------------------------------------------------------------------- */

static bool is_pattern(struct span segment)
{
    const char *brace = memchr(segment.ptr, '{', segment.len);
    bool is_colon = segment.len > 1 && segment.ptr[0] == ':';
    bool is_regex =
        segment.len > 1 && (segment.ptr[segment.len - 1] == '$' || memmem(segment.ptr, segment.len, ".+", 2));

    return memchr(segment.ptr, '*', segment.len) || is_colon || is_regex ||
           (brace && memchr(brace, '}', segment.len - (size_t)(brace - segment.ptr)));
}

size_t hint_pattern(struct span path)
{
    for (size_t start = 0; start < path.len;) {
        const char *slash = memchr(path.ptr + start, '/', path.len - start);
        size_t end = slash ? (size_t)(slash - path.ptr) : path.len;

        if (is_pattern((struct span){path.ptr + start, end - start}))
            return start;
        start = end + 1;
    }
    return path.len;
}
