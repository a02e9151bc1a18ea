#ifndef CURFEW_ADMIN_PROCESS_H
#define CURFEW_ADMIN_PROCESS_H

/* What the kernel says about this process: the OWN_ rows of core/metrics.def. What can't be read is 0. */
struct process_stats {
#define OWN_COUNTER(field, name, help) double field;
#define OWN_GAUGE(field, name, help)   double field;
#include "core/metrics.def"
};

/* Reads all of it, from /proc and the like. Any thread. */
void process_stats_read(struct process_stats *out);

#endif
