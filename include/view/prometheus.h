#ifndef CURFEW_VIEW_PROMETHEUS_H
#define CURFEW_VIEW_PROMETHEUS_H

#include <stdbool.h>

#include "base/span.h"

/* Reads Prometheus text format 0.0.4, as far as curfew writes it: sample by sample, without copying. */
struct prometheus_sample {
    struct span name;
    struct span labels; /* what is between the braces */
    double value;
};

/* Takes the next sample off *page; lines that are none are passed over. False: that was all. */
bool prometheus_next(struct span *page, struct prometheus_sample *sample);

/* The value of a label, with its escapes as they stand. False: the sample has none of this name. */
bool prometheus_label(const struct prometheus_sample *sample, const char *name, struct span *value);

#endif
