#ifndef CURFEW_FAULTY_REPLY_H
#define CURFEW_FAULTY_REPLY_H

#include <stdint.h>

#include "base/span.h"
#include "faulty/conn.h"

/* How the end of a response's content is told (RFC 9112 6). */
enum faulty_framing {
    FAULTY_BY_LENGTH,
    FAULTY_BY_CHUNKS, /* towards an HTTP/1.0 client: by close */
    FAULTY_BY_CLOSE,
};

/* A status line and `fields` (whole lines, or ""), Connection if it is needed, and the empty line. */
void faulty_reply_head(struct faulty_conn *c, int status, const char *fields);

/* A final response's head that promises `bytes` of content. Returns whether the content goes in chunks. */
bool faulty_reply_promise(struct faulty_conn *c, int status, enum faulty_framing framing, uint64_t bytes);

/* A whole response with a small text. */
void faulty_reply_text(struct faulty_conn *c, int status, const char *type, struct span text);
void faulty_reply_ok(struct faulty_conn *c);
/*
 * A whole response with that status: 204 and 304 without content, 1xx before a 200. ?after and ?told add what an API
 * says of another try.
 */
void faulty_reply_status(struct faulty_conn *c, int status);
/* Half of a response that promises so many bytes, and bytes that are not HTTP: then the connection is closed. */
void faulty_reply_half(struct faulty_conn *c, uint64_t promised);
void faulty_reply_garbage(struct faulty_conn *c);

/* A whole response with `bytes` of the pattern. */
void faulty_reply_pattern(struct faulty_conn *c, enum faulty_framing framing, uint64_t bytes);

#endif
