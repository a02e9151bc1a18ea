#ifndef CURFEW_ADMIN_DURATIONS_H
#define CURFEW_ADMIN_DURATIONS_H

#include "admin/request.h"
#include "stats/metric.h"
#include "proxy/proxy.h"

/*
 * GET /durations: how long the calls of each route took (stats/duration_histogram.h), the limits that they had, and the
 * pools; whole microseconds. `sum` is that of proxy/scrape.h, with histograms. Answers the request. Main
 * thread.
 */
void durations_respond(struct admin_request *request, const struct proxy *proxy, const struct metrics *sum);

#endif
