#ifndef CURFEW_TESTS_DIFFERENTIAL_RECORDS_H
#define CURFEW_TESTS_DIFFERENTIAL_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/*
 * What the readers of tests/differential/run are given on standard input, one record after another, and what they
 * share. Numbers are little-endian.
 *
 *   u8 kind ('Q' requests, 'S' responses)   u8 cut_count   u16 method_count   u32 len
 *   cut_count × u32 offset    method_count × u8    len bytes
 */
struct record {
    bool responses;
    uint8_t cut_count;
    uint16_t method_count;
    uint32_t len;
    uint32_t cuts[255];  /* the bytes are to be read in pieces that end here, and then the rest */
    char methods[65536]; /* of the requests that are answered: 'G' GET, 'H' HEAD; GET behind the last */
    char *bytes;         /* a block of their own, so that a sanitizer sees who reads beyond it */
};

/* False at the end. A record that is not whole ends the program. */
bool record_read(struct record *record);

/* The method that the nth final response answers. */
char record_method(const struct record *record, unsigned nth);

/* Two digits a byte, which text_hex does not give. */
void put_hex(struct text *out, struct span bytes);

/* "name:value\n" in hex. */
void put_field(struct text *out, struct span name, struct span value);

#endif
