#ifndef CURFEW_PROXY_FLEET_SCRIPT_H
#define CURFEW_PROXY_FLEET_SCRIPT_H

#include "base/span.h"

/* The scripts that a fleet's store runs, as src/proxy/fleet_*.lua have them. */
struct span fleet_script_renew(void);
struct span fleet_script_turn(void);
struct span fleet_script_book(void);
struct span fleet_script_check(void);

#endif
