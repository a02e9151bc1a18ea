#ifndef CURFEW_PROXY_FLEET_NAMES_H
#define CURFEW_PROXY_FLEET_NAMES_H

#include <stdint.h>

/* What a request to a fleet's store comes to, and how a pool stands to its fleet: as metrics and /pools say them. */

enum fleet_result { FLEET_OK, FLEET_EPOCH, FLEET_LATE, FLEET_OLD, FLEET_TIMEOUT, FLEET_ERROR, FLEET_RESULTS };
enum fleet_mode { FLEET_CALM, FLEET_TIGHT, FLEET_LEARNING, FLEET_FALLBACK, FLEET_MODES };
/* How bad it is what operators are told. */
enum fleet_gravity { FLEET_SAYS, FLEET_WARNS, FLEET_FAILS };
const char *fleet_result_name(uint32_t result) __attribute__((const));
const char *fleet_mode_name(uint32_t mode) __attribute__((const));

#endif
