#include <string.h>

#include "base/mem.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"

/* TLS1_2_VERSION; each version after it is one more. */
#define TLS_1_2 0x0303

/* The path of a file that can be read; what is in it is runtime's business. */
enum status build_checked_file(struct build *b, const struct option_value *value, const char **out)
{
    enum status status = build_text(b, value, out);
    char *bytes;
    size_t len;

    if (status != ST_OK || !*out)
        return status;
    status = build_read_file(b, value->node, &bytes, &len);
    if (status == ST_OK && bytes)
        explicit_bzero(bytes, len);
    if (status == ST_OK)
        mem_free(bytes);
    return status;
}

static void check_pair(struct build *b, const struct option_value *cert, const struct option_value *key)
{
    if (cert->node && !key->is_written)
        report_key(b->errors, cert->node, "needs key_file too");
    if (key->node && !cert->is_written)
        report_key(b->errors, key->node, "needs cert_file too");
}

void build_refuse_members(struct build *b, const struct yaml_node *map, const char *why)
{
    YAML_FOREACH(member, map) {
        report_key(b->errors, member, "%s", why);
    }
}

/* A map that has no meaning for this upstream; what `defaults` has is for the others. */
static void refuse(struct build *b, const struct build_upstream *u, enum option_id id, const char *why)
{
    const struct yaml_node *node = u->values.of[id].node;

    if (node && node->parent == u->node)
        build_refuse_members(b, node, why);
}

static enum status check_server_name(struct build *b, struct build_upstream *u)
{
    const struct option_value *value = &u->values.of[OPT_TLS_SERVER_NAME];
    struct url url;

    if (!value->node) {
        u->out->tls.spec.server_name = u->out->origin.host;
        return ST_OK;
    }
    if (!url_is_host(value->node->text, &url))
        report_value(b->errors, value->node, "%s is not the name of a host",
                     quote_text(value->node->text).text);
    return build_text(b, value, &u->out->tls.spec.server_name);
}

enum status build_tls_spec(struct build *b, const struct option_values *values, struct tls_spec *out)
{
    const struct option_value *of = values->of;
    enum status status;

    out->min_version = (uint16_t)(TLS_1_2 + of[OPT_TLS_MIN_VERSION].number);
    out->renegotiate = of[OPT_TLS_RENEGOTIATE].number != 0;
    check_pair(b, &of[OPT_TLS_CERT_FILE], &of[OPT_TLS_KEY_FILE]);
    if ((status = build_checked_file(b, &of[OPT_TLS_CA_FILE], &out->ca_file)) != ST_OK ||
        (status = build_checked_file(b, &of[OPT_TLS_CERT_FILE], &out->cert_file)) != ST_OK)
        return status;
    return build_checked_file(b, &of[OPT_TLS_KEY_FILE], &out->key_file);
}

enum status build_tls(struct build *b, struct build_upstream *u)
{
    const struct option_value *of = u->values.of;
    struct tls_config *tls = &u->out->tls;
    enum status status;

    tls->enabled = u->url.is_https;
    tls->spec.offer = (enum tls_offer)of[OPT_HTTP2_USE].number; /* never, auto, always */
    if (!tls->enabled) {
        refuse(b, u, OPT_UPSTREAM_TLS, "only for https");
        return ST_OK;
    }
    if ((status = build_tls_spec(b, &u->values, &tls->spec)) != ST_OK)
        return status;
    tls->ca_at = of[OPT_TLS_CA_FILE].place;
    tls->cert_at = of[OPT_TLS_CERT_FILE].place;
    tls->key_at = of[OPT_TLS_KEY_FILE].place;
    return check_server_name(b, u);
}

/* ---- towards callers ------------------------------------------------------------------------------------ */

static bool is_uri(struct span text)
{
    return memmem(text.ptr, text.len, "://", 3) != NULL;
}

/* A name is compared as it stands: of a pattern nothing would ever be found. */
static void check_client_name(struct build *b, const struct yaml_node *node)
{
    struct url url;

    if (is_uri(node->text))
        return;
    if (!url_is_host(node->text, &url))
        report_value(b->errors, node,
                     "%s is neither a DNS name nor a URI such as spiffe://cluster.local/ns/shop",
                     quote_text(node->text).text);
    else if (url.host_is_ip)
        report_value(b->errors, node, "%s is an address; callers are known by DNS names and URIs",
                     quote_text(node->text).text);
}

static enum status build_client_names(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *list = u->values.of[OPT_CALLER_TLS_CLIENT_NAMES].node;
    struct tls_server_spec *spec = &u->out->caller_tls.spec;
    struct span *names;

    if (!list)
        return ST_OK;
    if (!u->values.of[OPT_CALLER_TLS_CLIENT_CA_FILE].is_written)
        report_key(b->errors, list, "needs client_ca_file too: without it callers show no certificate");
    names = arena_calloc(b->arena, list->count, sizeof(*names));
    if (!names)
        return ST_NOMEM;
    spec->client_names = names;
    spec->client_name_count = list->count;
    YAML_FOREACH(node, list) {
        check_client_name(b, node);
        names[node->index] = (struct span){arena_text(b->arena, node->text), node->text.len};
        if (!names[node->index].ptr)
            return ST_NOMEM;
    }
    return ST_OK;
}

enum status build_caller_tls(struct build *b, struct build_upstream *u)
{
    const struct option_value *of = u->values.of;
    const struct yaml_node *map = of[OPT_UPSTREAM_CALLER_TLS].node;
    struct caller_tls_config *tls = &u->out->caller_tls;
    enum status status;

    tls->enabled = u->out->listen_tls_count != 0;
    tls->spec.min_version = (uint16_t)(TLS_1_2 + of[OPT_CALLER_TLS_MIN_VERSION].number);
    if (!of[OPT_UPSTREAM_LISTEN_TLS].is_written) {
        refuse(b, u, OPT_UPSTREAM_CALLER_TLS, "only with listen_tls");
        return ST_OK;
    }
    if (map)
        schema_require(&u->values, SECTION_CALLER_TLS, map, b->errors);
    else if (!of[OPT_UPSTREAM_CALLER_TLS].is_written && of[OPT_UPSTREAM_LISTEN_TLS].node)
        report_key(b->errors, of[OPT_UPSTREAM_LISTEN_TLS].node,
                   "needs caller_tls too, with cert_file and key_file");
    if ((status = build_checked_file(b, &of[OPT_CALLER_TLS_CERT_FILE], &tls->spec.cert_file)) != ST_OK ||
        (status = build_checked_file(b, &of[OPT_CALLER_TLS_KEY_FILE], &tls->spec.key_file)) != ST_OK ||
        (status = build_checked_file(b, &of[OPT_CALLER_TLS_CLIENT_CA_FILE], &tls->spec.client_ca_file)) !=
            ST_OK)
        return status;
    tls->client_ca_at = of[OPT_CALLER_TLS_CLIENT_CA_FILE].place;
    tls->cert_at = of[OPT_CALLER_TLS_CERT_FILE].place;
    tls->key_at = of[OPT_CALLER_TLS_KEY_FILE].place;
    return build_client_names(b, u);
}
