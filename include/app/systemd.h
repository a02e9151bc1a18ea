#ifndef CURFEW_APP_SYSTEMD_H
#define CURFEW_APP_SYSTEMD_H

#include <stdint.h>

/* What is said to systemd (sd_notify(3)); without it, nothing happens. Main thread. */
struct systemd {
    int unused;
};

void systemd_ready(struct systemd *systemd);
void systemd_reloading(struct systemd *systemd);
void systemd_stopping(struct systemd *systemd, int64_t drain_ns);

#endif
