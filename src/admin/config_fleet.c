#include "admin/config_fleet.h"

#include "admin/config_values.h"
#include "base/number.h"

static const char *const fallbacks[] = {
    [FLEET_CLOSED] = "closed", [FLEET_SHARE] = "share", [FLEET_OPEN] = "open"};

static void put_password(struct jsonw *json, const char *file)
{
    if (file == NULL) {
        jsonw_null(json, "password");
        return;
    }
    jsonw_open_object(json, "password");
    jsonw_text(json, "file", file);
    jsonw_close_object(json);
}

void config_put_fleet(struct jsonw *json, const struct fleet_config *fleet)
{
    if (!fleet->enabled) {
        jsonw_null(json, "fleet");
        return;
    }
    jsonw_open_object(json, "fleet");
    config_put_list(json, "store", fleet->urls, fleet->store.place_count);
    jsonw_text(json, "sentinel", fleet->store.sentinel);
    jsonw_text(json, "name", fleet->name);
    jsonw_text(json, "user", fleet->store.user);
    put_password(json, fleet->store.password_file);
    config_put_tls(json, fleet->store.has_tls ? &fleet->store.tls : NULL);
    if (fleet->hosts == 0)
        jsonw_text(json, "hosts", "none");
    else
        jsonw_u64(json, "hosts", fleet->hosts);
    jsonw_text(json, "fallback", fallbacks[fleet->fallback]);
    config_put_duration(json, "ride_out", fleet->ride_out_ns);
    config_put_duration(json, "renew", fleet->renew_ns);
    config_put_duration(json, "timeout", fleet->store.timeout_ns);
    config_put_duration(json, "margin", fleet->margin_ns);
    jsonw_close_object(json);
}
