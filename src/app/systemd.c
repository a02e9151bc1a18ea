#include "app/systemd.h"

void systemd_ready(struct systemd *systemd)
{
    (void)systemd;
}

void systemd_reloading(struct systemd *systemd)
{
    (void)systemd;
}

void systemd_stopping(struct systemd *systemd, int64_t drain_ns)
{
    (void)systemd;
    (void)drain_ns;
}
