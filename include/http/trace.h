#ifndef CURFEW_HTTP_TRACE_H
#define CURFEW_HTTP_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/*
 * The trace that a call belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context/): what the request field
 * traceparent says. curfew reports no spans, so it passes a sound traceparent on as it came, and tracestate with it
 * ("pass-through services"); only where there is none may it begin a trace, and then nobody else's tracestate goes
 * along. Pure.
 */
struct trace {
    char id[32];     /* trace-id: hexadecimal digits in lower case, not all 0; id[0] is '\0': no trace */
    char parent[16]; /* parent-id, likewise: the request, as its sender knows it */
};

/*
 * The value of a traceparent field, without white space around it. Version 00 is read to the letter: digits in lower
 * case, no zero ids, nothing behind the flags. Of a later version what is like version 00 is read, and the rest is not
 * looked at ("Versioning of traceparent"). False: it says nothing, and *out is as it was.
 */
bool trace_parse(struct span value, struct trace *out) __attribute__((warn_unused_result));

static inline bool trace_is_set(const struct trace *trace)
{
    return trace->id[0] != '\0';
}

static inline struct span trace_id(const struct trace *trace)
{
    return (struct span){trace->id, sizeof(trace->id)};
}

static inline struct span trace_parent(const struct trace *trace)
{
    return (struct span){trace->parent, sizeof(trace->parent)};
}

/* A trace that begins here, from random bits. */
void trace_begin(struct trace *trace, const uint64_t random[3]);

/* The field line of a trace that begins here, and how long it is. */
#define TRACE_LINE_LEN (sizeof("traceparent: 00---01\r\n") - 1 + sizeof(struct trace))
void trace_put_line(struct text *out, const struct trace *trace);

#endif
