#ifndef CURFEW_APP_MACHINE_H
#define CURFEW_APP_MACHINE_H

#include <stdint.h>

/* What this process may have, as far as the system tells. */

/* Descriptors: the hard limit, which `curfew serve` raises its own to. */
uint64_t machine_descriptors(void);

/* Bytes of memory: the machine's, or less where the control group allows less. */
uint64_t machine_memory(void);

#endif
