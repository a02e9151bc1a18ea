#ifndef CURFEW_CONFIG_BUILD_H
#define CURFEW_CONFIG_BUILD_H

#include <stdint.h>

#include "base/status.h"
#include "config/arena.h"
#include "config/errors.h"
#include "config/schema.h"
#include "config/snapshot.h"
#include "config/source.h"
#include "config/url.h"
#include "config/yaml_node.h"

/*
 * A snapshot in the making; this room's own. The parts are built one by one (build_*.c) by functions that report
 * what is wrong and go on, so that all errors of a file are seen at once: what they have then built is of no use, and
 * config_load gives it up. They return ST_NOMEM or ST_OK, and nothing else.
 */
struct build {
    struct arena *arena;   /* the snapshot's: all that stays */
    struct arena *scratch; /* the tree's: goes when the file is read */
    struct config_errors *errors;
    const struct config_files *files;
    const char **file_names; /* of all sources, in the snapshot */
    struct snapshot *snapshot;
    const struct yaml_node *upstreams; /* the names of all, in the order of snapshot->upstreams */
    struct pool_config *pools;         /* snapshot->pools; room for all that there can be */
    uint32_t shared_pool_count;        /* those of `pools:`, which come first */
    struct build_taken *listeners;     /* all addresses so far */
};

/* An upstream in the making. */
struct build_upstream {
    const struct yaml_node *node;
    const struct option_values *defaults; /* in force without this upstream */
    struct option_values values;          /* in force for it */
    struct url url;
    struct upstream_config *out;
};

/* Where a node stands: its key, or its value. *out is in the snapshot; NULL if there is no node. */
enum status build_place_of_key(struct build *b, const struct yaml_node *node,
                               const struct place **out) MUST_CHECK;
/* Fills in the places of values that the snapshot keeps, where they are not known yet. */
enum status build_places(struct build *b, struct option_values *values) MUST_CHECK;

/* The texts of names that files and labels have: letters, digits, '_', '.', '-', up to 64. Reports if not. */
void build_check_name(struct build *b, const struct yaml_node *named);

/* Reads a file that `node` names, through b->files. *out is mem_free'd; NULL if it can't be read: reported. */
enum status build_read_file(struct build *b, const struct yaml_node *node, char **out,
                            size_t *len) MUST_CHECK;

/* The value of a TEXT option as a copy in the snapshot; NULL if there is none. */
enum status build_text(struct build *b, const struct option_value *value, const char **out) MUST_CHECK;

/* A listener, of which no other one in the file is in the way: an address, or a map. */
enum status build_listener(struct build *b, const struct yaml_node *node, struct endpoint *out) MUST_CHECK;
/* upstream.listen and listen_tls: one address or a list each. */
enum status build_listen(struct build *b, struct build_upstream *u) MUST_CHECK;

/* `pools:`, or NULL; makes room for `own_count` pools more. */
enum status build_pools(struct build *b, const struct option_values *builtin, const struct yaml_node *pools,
                        uint32_t own_count) MUST_CHECK;
/*
 * The pool that option `id` of an upstream or a route at `node` chooses: a shared one by name, or a new one of its own
 * with this name, which is in the snapshot's arena.
 */
enum status build_pool(struct build *b, const struct option_values *values, enum option_id id,
                       const struct yaml_node *node, const char *own_name, uint32_t *index) MUST_CHECK;
/* How the pool with these values adapts to what the API refuses. */
struct adapt_config build_adapt(struct build *b, const struct option_values *values);
/* `fleet:`, or NULL; before pools are built. */
enum status build_fleet(struct build *b, const struct option_values *builtin,
                        const struct yaml_node *fleet) MUST_CHECK;
/* What a pool has of the fleet. */
enum status build_pool_fleet(struct build *b, const struct option_values *values,
                             struct pool_config *out) MUST_CHECK;
/* Is it a name that files, labels and keys of a store have? */
bool build_is_name(struct span name);
/* Has a pool this name already? */
bool build_has_pool(const struct build *b, const char *name);

/*
 * The breaker that option `id` of an upstream or a route describes: *out is in the snapshot, or NULL if there is none.
 */
enum status build_breaker(struct build *b, const struct option_values *values, enum option_id id,
                          const struct breaker_terms **out) MUST_CHECK;

/* Warns of a volume that the rate of the route's pool never lets come about. */
void build_check_volume(struct build *b, const struct option_values *values,
                        const struct route_config *route);

/* addresses.eject, of an upstream whose url is known. */
enum status build_ejection(struct build *b, struct build_upstream *u) MUST_CHECK;

enum status build_tls(struct build *b, struct build_upstream *u) MUST_CHECK;
/* What a client's `tls` says, but for the name: certificates and the least version. */
enum status build_tls_spec(struct build *b, const struct option_values *values,
                           struct tls_spec *out) MUST_CHECK;
/* A path, or NULL: of a file that can be read. What is in it is not of interest here. */
enum status build_checked_file(struct build *b, const struct option_value *value,
                               const char **out) MUST_CHECK;
/* Members of a map that has no meaning here. */
void build_refuse_members(struct build *b, const struct yaml_node *map, const char *why);
/* After build_listen. */
enum status build_caller_tls(struct build *b, struct build_upstream *u) MUST_CHECK;
enum status build_caller_deadline(struct build *b, struct build_upstream *u) MUST_CHECK;
/* Request head changes; after build_caller_deadline. */
enum status build_rules(struct build *b, struct build_upstream *u) MUST_CHECK;
/* Is it a field that curfew alone may write or take out? Reports if so, or if it is no name of a field. */
bool build_is_field_name(struct build *b, const struct yaml_node *node, struct span name, bool is_key);

/*
 * Is the value a map? False too: the word none, which takes back what `defaults` or the upstream set; or nothing.
 * `example` is one; NULL: {} is.
 */
bool build_is_map(struct build *b, const struct option_value *value, const char *example);
/* Streams of a route, or of an upstream; *out is NULL if no response is to be one. */
enum status build_streams(struct build *b, const struct option_values *values,
                          const struct streams_config **out) MUST_CHECK;
/* Switches to other protocols of a route, or of an upstream; *out is NULL if there are none. */
enum status build_upgrade(struct build *b, const struct option_values *values,
                          const struct upstream_config *upstream,
                          const struct upgrade_config **out) MUST_CHECK;
/* A header's value as in headers.set: a text, or a file with a prefix. *out is in the snapshot; empty: it is bad. */
enum status build_field_value(struct build *b, const struct yaml_node *node, struct span *out) MUST_CHECK;
/* The proxy on the way to an upstream, after its url; and what that changes in requests, after build_rules. */
enum status build_proxy(struct build *b, struct build_upstream *u) MUST_CHECK;
enum status build_proxy_rules(struct build *b, struct build_upstream *u) MUST_CHECK;
/* Those that a forward proxy's own way out leads through; after its rules. */
enum status build_forward_way(struct build *b, const struct build_upstream *u,
                              struct forward_way *way) MUST_CHECK;
/* The upstream's budget of retries, and the field that tells of them; before build_rules. */
enum status build_retry_budget(struct build *b, struct build_upstream *u) MUST_CHECK;
/*
 * A route's retries, of which `key`, an option of the upstream or of the route, says whether there are any. `outer` is
 * what was in force before `values` and made the default route of `owner`, or NULL: what came from there is good, or
 * has been reported.
 */
enum status build_retries(struct build *b, const struct option_values *values, enum option_id key,
                          const struct option_values *outer, const struct upstream_config *owner,
                          struct retries_config *out) MUST_CHECK;
/* Is it a method that a request may have? Reports if not. */
bool build_is_method(struct build *b, const struct yaml_node *node);

/* The upstream's default route, then its others. */
enum status build_routes(struct build *b, struct build_upstream *u) MUST_CHECK;
/* What a call is to find without looking for its pool. */
void build_take_pool(struct route_config *route, const struct pool_config *pool);
/* What of an upstream needs nothing but the values of options. */
void build_take_values(struct build_upstream *u);
/* What its routes come to: after them. */
enum status build_sum_up(struct build *b, struct build_upstream *u) MUST_CHECK;

/* `upstreams` may be NULL. Behind them there is room for `more`. */
enum status build_upstreams(struct build *b, const struct option_values *defaults,
                            const struct yaml_node *upstreams, uint32_t more) MUST_CHECK;

/* As many pools of their own as forward proxies and their destinations can have. */
uint32_t build_count_forward_pools(const struct yaml_node *forwards);
/* Behind both: snapshot->own. */
enum status build_own(struct snapshot *snapshot) MUST_CHECK;
/* Behind build_upstreams: forward proxies, for which there is room there. */
enum status build_forwards(struct build *b, const struct option_values *builtin,
                           const struct yaml_node *forwards) MUST_CHECK;

#endif
