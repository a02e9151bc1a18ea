#ifndef CURFEW_FAULTY_BEHAVIOUR_H
#define CURFEW_FAULTY_BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct faulty_conn;

/* What a request's target says beyond the path's name. */
struct faulty_args {
    uint64_t value; /* the number in the path */
    bool has_bytes;
    uint64_t bytes; /* ?bytes=N */
    bool chunked;   /* ?chunked */
    bool raw;       /* ?raw */
    bool no_length; /* ?nolength */
};

/*
 * What one path does. The functions are called in this order, each may be NULL but `answer`:
 * head when the request's head has been read; content for every run of its content as it arrives (`wire` as it came,
 * `data` the part of it that is content); answer when the request has been read completely; tick by the timer.
 */
struct faulty_behaviour {
    const char *path;   /* exact, or a prefix that a number follows */
    const char *arg;    /* the number's name; NULL: the path has none */
    uint64_t min, max;  /* its bounds */
    const char *params; /* query parameters that it knows, for the help */
    const char *help;
    bool uncounted; /* the statistics leave it out */
    void (*head)(struct faulty_conn *c, struct span head);
    void (*content)(struct faulty_conn *c, struct span wire, struct span data);
    void (*answer)(struct faulty_conn *c);
    void (*tick)(struct faulty_conn *c);
};

#endif
