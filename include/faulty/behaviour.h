#ifndef CURFEW_FAULTY_BEHAVIOUR_H
#define CURFEW_FAULTY_BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct faulty_conn;

#define FAULTY_TEXT_MAX 256

/* What a request's target says beyond the path's name. */
struct faulty_args {
    uint64_t value;             /* the number in the path */
    char text[FAULTY_TEXT_MAX]; /* or the text in it */
    char by[32];                /* ?by=WORD */
    char after[64];             /* ?after=VALUE; empty: none */
    uint64_t key;               /* of the text, and ?key=TEXT: the same for the same of both */
    bool has_down;
    uint64_t down; /* ?down=MS */
    bool told;     /* ?told */
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
    const char *path;   /* exact, or a prefix that a number or a text follows */
    const char *arg;    /* its name; NULL: the path has none */
    uint64_t min, max;  /* the number's bounds */
    bool takes_text;    /* what follows is a text */
    const char *params; /* query parameters that it knows, for the help */
    const char *help;
    bool uncounted;                                  /* the statistics leave it out */
    bool (*is_good)(const struct faulty_args *args); /* NULL: whatever can be read is */
    void (*head)(struct faulty_conn *c, struct span head);
    void (*content)(struct faulty_conn *c, struct span wire, struct span data);
    void (*answer)(struct faulty_conn *c);
    void (*tick)(struct faulty_conn *c);
};

#endif
