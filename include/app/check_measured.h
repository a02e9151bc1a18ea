#ifndef CURFEW_APP_CHECK_MEASURED_H
#define CURFEW_APP_CHECK_MEASURED_H

#include "config/errors.h"
#include "config/snapshot.h"

/*
 * What `curfew check` warns of by what a curfew that runs has measured: queues in which calls wait for longer than
 * their deadline leaves, and breakers whose ratio is of more calls than there are.
 *
 * Asks the curfew at `where`, for a second at most, or the one at the file's own admin.listen if it is NULL. Nobody
 * there, an answer that can't be read, or upstreams and routes that the file does not have: no warnings, but of a
 * `where` that has no answer.
 */
void check_measured(const struct snapshot *snapshot, const char *where, struct config_errors *warnings);

#endif
