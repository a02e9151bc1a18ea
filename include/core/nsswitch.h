#ifndef CURFEW_CORE_NSSWITCH_H
#define CURFEW_CORE_NSSWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Which sources know names, and in what order: the `hosts` line of nsswitch.conf(5). curfew has two of them, the hosts
 * file and DNS. `resolve` stands for both, since systemd-resolved looks into the hosts file before it asks DNS; sources
 * that are not known (mymachines, mdns4_minimal, …) are passed over, with what is in brackets behind them.
 */
enum names_source { SOURCE_FILES, SOURCE_DNS, SOURCE_COUNT };

/* What a source may have said that lets the search end: bits of nsswitch_step.returns. */
enum {
    NAME_NOT_FOUND = 1,   /* there is no such name, or it has no address */
    NAME_UNAVAILABLE = 2, /* the source can't be asked */
    NAME_TRY_AGAIN = 4,   /* it can't answer at the moment */
};

struct nsswitch {
    struct nsswitch_step {
        enum names_source source;
        unsigned returns;  /* the search ends here if the source has said one of these */
    } steps[SOURCE_COUNT]; /* each source at most once */
    uint32_t count;
};

/* From the text of the file. Without a hosts line, or with none that is known: the hosts file, then DNS. */
void nsswitch_read(struct nsswitch *nsswitch, struct span text);

#endif
