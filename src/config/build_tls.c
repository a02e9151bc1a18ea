#include <string.h>

#include "base/mem.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"

/* TLS1_2_VERSION; each version after it is one more. */
#define TLS_1_2 0x0303

/* The path of a file that can be read; what is in it is runtime's business. */
static enum status check_file(struct build *b, const struct option_value *value, const char **out)
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

/* Of an http url; what `defaults` has is for the others. */
static void refuse(struct build *b, const struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_TLS].node;

    if (!node || node->parent != u->node)
        return;
    YAML_FOREACH(member, node) {
        report_key(b->errors, member, "only for https");
    }
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

enum status build_tls(struct build *b, struct build_upstream *u)
{
    const struct option_value *of = u->values.of;
    struct tls_config *tls = &u->out->tls;
    enum status status;

    tls->enabled = u->url.is_https;
    tls->spec.min_version = (uint16_t)(TLS_1_2 + of[OPT_TLS_MIN_VERSION].number);
    tls->spec.renegotiate = of[OPT_TLS_RENEGOTIATE].number != 0;
    if (!tls->enabled) {
        refuse(b, u);
        return ST_OK;
    }
    check_pair(b, &of[OPT_TLS_CERT_FILE], &of[OPT_TLS_KEY_FILE]);
    if ((status = check_file(b, &of[OPT_TLS_CA_FILE], &tls->spec.ca_file)) != ST_OK ||
        (status = check_file(b, &of[OPT_TLS_CERT_FILE], &tls->spec.cert_file)) != ST_OK ||
        (status = check_file(b, &of[OPT_TLS_KEY_FILE], &tls->spec.key_file)) != ST_OK)
        return status;
    tls->ca_at = of[OPT_TLS_CA_FILE].place;
    tls->cert_at = of[OPT_TLS_CERT_FILE].place;
    tls->key_at = of[OPT_TLS_KEY_FILE].place;
    return check_server_name(b, u);
}
