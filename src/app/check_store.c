#include "app/check_store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/report.h"
#include "proxy/store_check.h"

static void report(const struct fleet_config *fleet, const struct store_findings *findings,
                   struct config_file *file)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct store_finding *finding = &findings->list[i];

        report_place(finding->is_error ? &file->errors : &file->warnings, fleet->store_at, "%s",
                     finding->text);
    }
}

void check_store(const struct snapshot *snapshot, struct config_file *file, char *said, size_t said_cap)
{
    const struct fleet_config *fleet = &snapshot->fleet;
    struct store_findings *findings;

    said[0] = '\0';
    if (!fleet->enabled) {
        config_file_report(file, "--store: there is no fleet, and so no store");
        return;
    }
    findings = mem_alloc(sizeof(*findings));
    if (findings == NULL || store_check(&fleet->store, fleet->name, findings) != ST_OK) {
        config_file_report(file, "out of memory");
    } else {
        report(fleet, findings, file);
        if (findings->is_reached)
            snprintf(said, said_cap, "%s at %s, an answer takes %" PRId64 " us", findings->version,
                     findings->place, findings->round_trip_ns / NS_PER_US);
    }
    mem_free(findings);
}
