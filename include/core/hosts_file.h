#ifndef CURFEW_CORE_HOSTS_FILE_H
#define CURFEW_CORE_HOSTS_FILE_H

#include <stdint.h>

#include "base/span.h"
#include "core/ip.h"

/*
 * The addresses that the text of a hosts file (hosts(5)) has for a name, in the order of their lines; at most `max`.
 * As in the C library, all lines that have the name count, those of both families, and a name that ends with a dot
 * is another one than that without.
 */
uint32_t hosts_file_find(struct span text, struct span name, struct ip *out, uint32_t max);

#endif
