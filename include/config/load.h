#ifndef CURFEW_CONFIG_LOAD_H
#define CURFEW_CONFIG_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "config/errors.h"
#include "config/snapshot.h"
#include "config/source.h"

/*
 * Makes a snapshot of a file's bytes. ST_OK; ST_BAD: *errors says what is wrong; ST_NOMEM. What is odd is added to
 * errors->warnings in any case. Files that the
 * configuration names are read through `files`: this room opens none itself. Those named for TLS are only checked
 * to be readable here, and loaded by runtime/tls.
 */
enum status config_load(struct span bytes, const struct config_files *files, struct snapshot **out,
                        struct config_errors *errors) MUST_CHECK;

/*
 * The same of several files as one configuration: `upstreams`, `pools` and `forward` may stand in more than one of them
 * with different names in each, any other key in one. A file of several may be empty.
 */
enum status config_load_all(struct config_source *sources, uint32_t count, const struct config_files *files,
                            struct snapshot **out, struct config_errors *errors) MUST_CHECK;

/*
 * admin.listen as it is written in one of the files, or, where there is none and that will do, admin.metrics_listen:
 * put into `text`, terminated; whatever is wrong with the rest. False: it is not there, or *errors says why a file is
 * not to be read as YAML.
 */
bool config_find_admin(struct config_source *sources, uint32_t count, const struct config_files *files,
                       bool metrics_will_do, struct config_errors *errors, char *text, size_t cap) MUST_CHECK;

#endif
