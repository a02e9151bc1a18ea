#ifndef CURFEW_STATS_EXPOSITION_H
#define CURFEW_STATS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Writes Prometheus text format 0.0.4: families, each begun once, and their samples one after the other. Text is
 * gathered in a block and handed on when it is full, so there is no limit to its length and nothing is allocated. Names
 * of metrics and labels are trusted literals; label values may hold any byte and are escaped.
 */
typedef void (*exposition_fn)(void *arg, struct span piece); /* the bytes are valid during the call only */

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

struct exposition {
    exposition_fn emit;
    void *arg;
    size_t len;
    size_t sample_at; /* where the sample under way begins, if all that there is of it is in the block */
    size_t stem_len;
    bool has_labels; /* the sample under way */
    char block[8192];
    char stem[1024];
};

void exposition_init(struct exposition *out, exposition_fn emit, void *arg);

/* HELP and TYPE. */
void exposition_family(struct exposition *out, const char *name, enum exposition_type type, const char *help);

/* A sample: its name (the family's and a suffix, "" for none), then its labels, then its value, which ends it. */
void exposition_sample(struct exposition *out, const char *name, const char *suffix);
void exposition_label(struct exposition *out, const char *key, const char *value);

/*
 * Many samples begin alike. exposition_stem keeps what there is of the one under way, its name and its first labels,
 * and exposition_repeat begins another one with that. False: it was too long to be kept, and is to be written anew.
 */
void exposition_stem(struct exposition *out);
bool exposition_repeat(struct exposition *out) __attribute__((warn_unused_result));

void exposition_u64(struct exposition *out, uint64_t value);
void exposition_number(struct exposition *out, double value);

/* Hands on what is left in the block. */
void exposition_end(struct exposition *out);

#endif
