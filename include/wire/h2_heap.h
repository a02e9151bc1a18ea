#ifndef CURFEW_WIRE_H2_HEAP_H
#define CURFEW_WIRE_H2_HEAP_H

#include <nghttp2/nghttp2.h>

/* Memory for nghttp2, by base/mem. Never changed: nghttp2 wants it so. */
extern nghttp2_mem h2_heap;

#endif
