#ifndef CURFEW_ADMIN_PROCESS_H
#define CURFEW_ADMIN_PROCESS_H

/* What the kernel says about this process: the OWN_ rows of stats/metrics.def. What can't be read is 0. */
struct process_stats {
#define OWN_COUNTER(field, name, help) double field;
#define OWN_GAUGE(field, name, help)   double field;
#include "stats/metrics.def"
};

/* Zeroed at first. What is not read at each scrape. */
struct process_reader {
    double listed_fds;
    double next_list; /* CLOCK_MONOTONIC, seconds */
    double start_time_seconds;
};

/* Reads all of it, from /proc and the like; the number of descriptors may be some seconds old. The reader's thread. */
void process_stats_read(struct process_reader *reader, struct process_stats *out);

#endif
