#ifndef CURFEW_APP_CHECK_STORE_H
#define CURFEW_APP_CHECK_STORE_H

#include <stddef.h>

#include "app/config_file.h"
#include "config/snapshot.h"

/*
 * Tries the fleet's store (proxy/store_check), and adds what is wrong with it to the file's errors and warnings; a file
 * without a fleet is wrong, too. `said` (terminated): what it is, or nothing.
 */
void check_store(const struct snapshot *snapshot, struct config_file *file, char *said, size_t said_cap);

#endif
