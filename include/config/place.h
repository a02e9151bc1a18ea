#ifndef CURFEW_CONFIG_PLACE_H
#define CURFEW_CONFIG_PLACE_H

#include <stdint.h>

/*
 * Where a value of the configuration stands, for those who explain it or find fault with it later. Values that are
 * inherited from one place share it.
 */
struct place {
    const char *file;      /* as its config_source is called */
    uint32_t file_index;   /* among the sources */
    uint32_t line, column; /* from 1 */
    uint32_t index;        /* among all places of the snapshot */
    const char *path;      /* "upstreams.payments.deadline" */
};

#endif
