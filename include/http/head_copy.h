#ifndef CURFEW_HTTP_HEAD_COPY_H
#define CURFEW_HTTP_HEAD_COPY_H

#include "http/http1.h"

/*
 * A response's head that outlives the buffer in which it was parsed, with its fields, in one block: mem_free frees it.
 * NULL: no memory.
 */
struct http1_head *http1_head_copy(const struct http1_head *response) __attribute__((warn_unused_result));

#endif
