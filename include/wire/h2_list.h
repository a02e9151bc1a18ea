#ifndef CURFEW_WIRE_H2_LIST_H
#define CURFEW_WIRE_H2_LIST_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>

#include "http/h2_head.h"

/*
 * A list of fields as nghttp2 wants it, which copies what is in it: for the time of one submission. Of the longest
 * heads it takes a block from the heap, of most none. Within wire/h2_session.c.
 */
#define H2_LIST_HERE 48

struct h2_list {
    nghttp2_nv here[H2_LIST_HERE];
    nghttp2_nv *fields;
};

/* False: no memory; there is nothing to submit then, but it is freed all the same. */
bool h2_list_make(struct h2_list *list, const struct h2_field *fields, size_t count);
void h2_list_free(struct h2_list *list);

#endif
