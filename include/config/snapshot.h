#ifndef CURFEW_CONFIG_SNAPSHOT_H
#define CURFEW_CONFIG_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "base/number.h"
#include "base/span.h"
#include "config/forward.h"
#include "config/place.h"
#include "config/proxy.h"
#include "config/streams.h"
#include "config/upgrade.h"
#include "http/forward_rules.h"
#include "core/breaker.h"
#include "core/min_rate.h"
#include "core/origin.h"
#include "core/retry_policy.h"
#include "core/route.h"
#include "core/status_set.h"
#include "core/store_spec.h"
#include "core/tls_spec.h"

/*
 * A whole configuration, checked, resolved and immutable: defaults are filled in, pools are linked by index, routes are
 * sorted, every duration is nanoseconds (NS_NEVER: no limit), every size bytes. Made by config_load; all its memory is
 * its own and goes with snapshot_free. Read by any thread. Members that end in `at` say where a value stands in the
 * file; they are NULL where it is the built-in default.
 */

/* Of the file of the admin listener's unix socket, unless others are written: who may write to it may cut calls. */
#define ADDRESS_ADMIN_MODE 0660

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum access_target { ACCESS_OFF, ACCESS_STDOUT, ACCESS_FILE };

struct log_config {
    enum log_level level;
    enum access_target access;
    const char *access_path; /* ACCESS_FILE; else NULL */
    const struct place *access_at;
};

struct limits_config {
    uint32_t connections; /* callers' connections, all workers together */
    uint64_t request_head_bytes;
    uint64_t response_head_bytes;
    int64_t request_head_timeout_ns;
    int64_t handshake_timeout_ns;
    int64_t idle_timeout_ns;   /* callers' connections between requests */
    uint64_t replay_bytes;     /* of requests, kept for retries */
    int64_t connection_age_ns; /* of callers' connections; NS_NEVER: as old as they like */
    uint32_t streams;          /* open on a caller's connection; 0: as many as its pools take */
};

/* least: p95. */
#define LEAST_IS_P95 INT64_C(-1)

/* What of a pool's permits is given out goes by what the API refuses (core/adaptive). */
struct adapt_config {
    uint32_t min; /* 0: all are */
    struct status_set when;
};

/* What pauses a pool (core/pause). */
struct pause_config {
    int64_t max_ns; /* 0: nothing does */
    struct status_set statuses;
    const struct place *void_at; /* it is there, but no status is; else NULL */
};

enum fleet_fallback { FLEET_CLOSED, FLEET_SHARE, FLEET_OPEN };

/* The fleet that this curfew belongs to, and its store. */
struct fleet_config {
    bool enabled;
    const char *name;
    struct store_spec store;
    const struct span *urls; /* store.place_count of them, as they are written */
    uint32_t hosts;          /* 0: nobody has said how many there are */
    enum fleet_fallback fallback;
    int64_t ride_out_ns, renew_ns, margin_ns;
    const struct place *at, *store_at, *fallback_at, *ride_out_at, *ca_at, *cert_at, *key_at, *password_at;
};

struct pool_config {
    const char *name;
    uint32_t index; /* its number (config/numbering.h); until it has one, its place in snapshot.pools */
    bool is_new;    /* the number was another's before, or nobody's */
    uint32_t size;
    uint32_t queue_size;
    int64_t queue_timeout_ns;
    int64_t linger_ns; /* 0: a permit goes back with its call */
    struct adapt_config adapt;
    int64_t least_ns;       /* a waiter with less left is refused; or LEAST_IS_P95; NS_NEVER: none is */
    uint32_t rate_per_hour; /* 0: no rate */
    uint32_t rate_burst;
    struct pause_config pause;
    const char *fleet;  /* its name in the fleet, whose permits `size` are; NULL: they are this host's own */
    uint32_t host_size; /* of them, on this host at most; size if there is no fleet */
    uint32_t weight, reserve;
    struct span share_by; /* name of the field whose values share the queue; empty: none does, or: */
    bool shares_by_caller;
    const struct place *size_at;
    const struct place *queue_at;
    const struct place *queue_timeout_at;
    const struct place *least_at;
    const struct place *fleet_at;
    const struct place *reserve_at;
    /* A key that only a pool of the fleet has a use for, and this one is none; NULL: no such. */
    const char *fleet_only;
    const struct place *fleet_only_at;
};

static inline bool pool_is_shared(const struct pool_config *pool)
{
    return pool->shares_by_caller || pool->share_by.len != 0;
}

/* Does it matter to the pool how long a call can wait for its turn, or whose it is? */
static inline bool pool_asks_for_time(const struct pool_config *pool)
{
    return pool_is_shared(pool) || pool->least_ns != NS_NEVER || pool->rate_per_hour != 0 ||
           pool->pause.max_ns != 0;
}

/* When there is another try. */
struct retries_config {
    struct retry_policy policy; /* attempts 1: there is none, and nothing else counts */
    int64_t per_try_ns;         /* NS_NEVER: none */
    uint32_t methods;           /* that may be repeated, 1 << enum http1_method; others by name */
    const struct span *method_names;
    uint32_t method_count;
    struct span key; /* name of the field that lets a request be repeated; empty: none does */
    uint64_t content_bytes;
    /* Tries after the first one go there; NULL: to the same upstream. */
    const struct upstream_config *fallback;
    bool say;
    bool hedges; /* at per_try another try begins beside it; false if there is no per_try */
    struct {
        const struct place *attempts, *when, *per_try, *key, *share, *burst, *fallback;
    } at;
};

static inline bool retries_are_on(const struct retries_config *retries)
{
    return retries->policy.attempts > 1;
}

/* The policy of a route. */
struct route_config {
    /* The label: "default" for the upstream itself, else the path, with its methods if it has any: "POST /v1". */
    const char *name;
    uint32_t index; /* its number; until it has one, its place among all routes of the snapshot */
    uint32_t pool;  /* number of its pool, that is pool_config.index */
    bool is_new;
    int64_t deadline_ns;
    int64_t ceiling_ns;       /* the upstream is observed: calls go on until then; NS_NEVER: it is not */
    int64_t queue_timeout_ns; /* its pool's, */
    int64_t linger_ns;        /* and this too, and: */
    const struct status_set *refusals;   /* of adapt; NULL: there is none */
    bool times_starts;                   /* what calls need from their permit on matters to the pool */
    const struct pool_config *waits;     /* the pool, if it asks of calls that may have to wait; else NULL */
    const struct breaker_terms *breaker; /* NULL: none */
    bool has_own_breaker;                /* and not the upstream's */
    uint32_t circuit; /* whose state it has: the number of the default route, or its own; once it has one */
    int64_t connect_ns;
    int64_t first_byte_ns;
    int64_t begin_ns; /* from the call's beginning to the first byte of the response's content */
    int64_t idle_ns;
    struct min_rate_terms min_rate;
    const struct streams_config *streams; /* NULL: no response is one */
    const struct upgrade_config *upgrade; /* NULL: no connection switches to another protocol */
    struct retries_config retries;
    struct {
        const struct place *deadline, *observe, *connect, *first_byte, *begin, *idle, *min_rate, *pool;
        const struct place *breaker; /* its volume, or whatever is written of it */
    } at;
};

/* The longest deadline that a call can have by this policy: its response may be a stream, or a tunnel. */
static inline int64_t route_longest_deadline_ns(const struct route_config *route)
{
    int64_t longest_ns = route->deadline_ns;

    if (route->streams != NULL && route->streams->deadline_ns > longest_ns)
        longest_ns = route->streams->deadline_ns;
    if (route->upgrade != NULL && route->upgrade->terms.lifetime_ns > longest_ns)
        longest_ns = route->upgrade->terms.lifetime_ns;
    return longest_ns;
}

/* How long a call may really take: what is observed cuts nothing, and a ceiling below the deadline is none. */
static inline int64_t route_longest_ns(const struct route_config *route)
{
    int64_t deadline_ns = route_longest_deadline_ns(route);

    return route->ceiling_ns != NS_NEVER && route->ceiling_ns > deadline_ns ? route->ceiling_ns : deadline_ns;
}

/* Of the routes that share a circuit, is it the one that this is called after? Not of a route without a breaker. */
static inline bool route_owns_circuit(const struct route_config *route)
{
    return route->breaker != NULL && route->circuit == route->index;
}

/* Do both set calls the same time limits, kept to or observed in the same way? */
bool route_has_same_limits(const struct route_config *a, const struct route_config *b);

struct caller_deadline_config {
    const struct span *headers; /* names; count 0: off */
    uint32_t header_count;
    struct span forward; /* name of the field that carries what is left; empty: none */
    bool forwards_grpc;  /* it is grpc-timeout, which has a form of its own */
};

struct tls_config {
    bool enabled;
    struct tls_spec spec; /* server_name is never NULL when enabled */
    const struct place *ca_at;
    const struct place *cert_at;
    const struct place *key_at;
};

struct caller_tls_config {
    bool enabled; /* the upstream has listeners that speak TLS */
    struct tls_server_spec spec;
    const struct place *client_ca_at;
    const struct place *cert_at;
    const struct place *key_at;
};

enum http2_use { HTTP2_NEVER, HTTP2_AUTO, HTTP2_ALWAYS };

struct http2_config {
    enum http2_use use;
    uint32_t streams;         /* of a connection, at once, */
    uint32_t max_calls;       /* and on the whole */
    uint32_t window;          /* of a stream, bytes */
    int64_t probe_after_ns;   /* silent for so long: a PING goes before the next call */
    int64_t probe_timeout_ns; /* for anything to come back */
    const struct place *streams_at;
    const struct place *probe_after_at;
    atomic_bool *warned; /* that a caller speaks gRPC, and `use` is never; shared by all workers */
};

struct keepalive_config {
    uint32_t max_idle; /* of an upstream, all workers together; 0: no connection is kept */
    int64_t idle_timeout_ns;
    int64_t max_age_ns;
};

struct upstream_config {
    const char *name;
    uint32_t index; /* its number; until it has one, its place in snapshot.upstreams */
    bool is_new;
    const struct snapshot *snapshot;      /* that it is a part of */
    const struct forward_config *forward; /* NULL: its url says where calls go, and not they themselves */
    const struct place *at;
    const struct endpoint *listen; /* those of `listen`, then those of `listen_tls` */
    uint32_t listen_count;         /* of all; */
    uint32_t listen_tls_count;     /* of the latter */

    struct origin origin;
    struct proxy_config proxy;
    struct tls_config tls;
    struct caller_tls_config caller_tls;
    struct http2_config http2;
    struct keepalive_config keepalive;
    struct caller_deadline_config caller_deadline;
    bool host_is_set; /* the Host field is not the url's host */
    /* request head changes; the names of caller_deadline's headers and of `forward` are among `dropped` */
    struct forward_rules rules;
    bool trace;             /* a call without a valid trace gets one of its own */
    bool hides_trace;       /* by these rules, the traceparent that came does not go on */
    bool owns_grpc_timeout; /* by these rules, grpc-timeout is not ours to write: `headers` has it */
    bool hedge;             /* its tries that are silent for per_try get another one beside them */
    bool late;              /* what becomes of a call that was cut is found out */
    bool server_timing;     /* responses say how long the call was in its phases */
    bool observe;           /* and then, in each route: */
    int64_t observe_ceiling_ns;
    /* Of all its routes' retries: */
    bool has_retries; /* of one of them, at least */
    /* Theirs, by the upstream's number; set before the snapshot is in force. */
    struct retry_tokens *retry_tokens;
    uint32_t retry_share_percent, retry_burst;
    struct span retry_tell; /* name of the field that carries the number of a retry; empty: none */

    struct route_config default_route;
    struct route_config *routes; /* route_entry.id indexes it */
    uint32_t route_count;
    const struct route_entry *route_entries; /* sorted; route_count of them */
};

struct snapshot {
    uint32_t workers; /* 0: auto */
    bool has_admin, has_metrics;
    struct endpoint admin, metrics; /* admin.listen, admin.metrics_listen */
    bool admin_allow_remote;
    struct log_config log;
    struct fleet_config fleet;
    int64_t drain_ns, drain_delay_ns;
    bool watch;
    struct limits_config limits;
    struct pool_config *pools;
    uint32_t pool_count;
    struct upstream_config *upstreams; /* those of `upstreams`, then those of `forward` */
    uint32_t upstream_count;           /* of both; */
    uint32_t forward_count;            /* of the latter */
    struct guard_own own;              /* all listeners, for guards */
    uint32_t route_count;              /* all upstreams together, default routes included */
    const struct place *drain_at, *drain_delay_at;
    const struct place *watch_at;
    const struct place *connections_at;
    uint32_t place_count;

    struct arena *arena; /* where all of it lives */
};

/* `id` is a route_entry.id of this upstream: its place in `routes`; from route_count on, the default route. */
const struct route_config *snapshot_route(const struct upstream_config *upstream, uint32_t id);

/* Is it TLS that callers speak at this one of upstream.listen? */
static inline bool upstream_listens_by_tls(const struct upstream_config *upstream,
                                           const struct endpoint *address)
{
    return address >= upstream->listen + (upstream->listen_count - upstream->listen_tls_count);
}

/* The part of the configuration that it stands in. */
static inline const char *upstream_section(const struct upstream_config *upstream)
{
    return upstream->forward != NULL ? "forward" : "upstreams";
}

/* Where its connections are made to: the proxy's origin, or its own. */
static inline const struct origin *upstream_dialled(const struct upstream_config *upstream)
{
    return upstream->proxy.url != NULL ? &upstream->proxy.origin : &upstream->origin;
}

/* Scheme, host and port as a url has them: "https://[2001:db8::1]:8443". */
#define UPSTREAM_ORIGIN_MAX 300
void upstream_put_origin(struct text *out, const struct upstream_config *upstream);

/* Of the pool with this number; NULL: it is of another snapshot. */
const char *snapshot_pool_name(const struct snapshot *snapshot, uint32_t number) __attribute__((pure));

void snapshot_free(struct snapshot *snapshot);

#endif
