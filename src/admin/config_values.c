#include "admin/config_values.h"

#include <stdio.h>

#include "base/number.h"

void config_put_duration(struct jsonw *json, const char *key, int64_t ns)
{
    jsonw_text(json, key, number_duration_text(ns).text);
}

void config_put_size(struct jsonw *json, const char *key, uint64_t bytes)
{
    char block[40];
    struct text text = text_over(block, sizeof(block));

    number_put_size(&text, bytes);
    jsonw_string(json, key, text_span(&text));
}

void config_put_percent(struct jsonw *json, const char *key, uint32_t percent)
{
    char text[16];

    snprintf(text, sizeof(text), "%u%%", percent);
    jsonw_text(json, key, text);
}

void config_put_list(struct jsonw *json, const char *key, const struct span *all, uint32_t count)
{
    jsonw_open_array(json, key);
    for (uint32_t i = 0; i < count; i++)
        jsonw_string(json, NULL, all[i]);
    jsonw_close_array(json);
}

void config_put_statuses(struct jsonw *json, const char *key, const struct status_set *statuses)
{
    jsonw_open_array(json, key);
    for (uint32_t code = STATUS_SET_MIN; code < STATUS_SET_END; code++)
        if (status_set_has(statuses, code))
            jsonw_u64(json, NULL, code);
    jsonw_close_array(json);
}

void config_put_listener(struct jsonw *json, const char *key, struct span address, bool has_mode,
                         const struct endpoint *of)
{
    char mode[8];

    if (!has_mode && !of->has_group) {
        jsonw_string(json, key, address);
        return;
    }
    jsonw_open_object(json, key);
    jsonw_string(json, "address", address);
    snprintf(mode, sizeof(mode), "%04o", of->mode);
    if (has_mode)
        jsonw_text(json, "mode", mode);
    if (of->has_group)
        jsonw_text(json, "group", of->group_name);
    jsonw_close_object(json);
}

void config_put_tls(struct jsonw *json, const struct tls_spec *spec)
{
    if (spec == NULL) {
        jsonw_null(json, "tls");
        return;
    }
    jsonw_open_object(json, "tls");
    jsonw_text(json, "ca_file", spec->ca_file);
    jsonw_text(json, "cert_file", spec->cert_file);
    jsonw_text(json, "key_file", spec->key_file);
    jsonw_text(json, "server_name", spec->server_name);
    jsonw_bool(json, "renegotiate", spec->renegotiate);
    jsonw_text(json, "min_version", spec->min_version == 0x0304 ? "1.3" : "1.2");
    jsonw_close_object(json);
}
