#ifndef CURFEW_WIRE_H2_SESSION_H
#define CURFEW_WIRE_H2_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "http/h2_head.h"
#include "wire/h2_terms.h"

/*
 * One HTTP/2 connection (RFC 9113) as a machine: bytes that came go in, bytes that are to go come out, and in between
 * the events below are told. No socket, no clock, no thread; memory by base/mem. What is behind it, nghttp2, is seen in
 * its source alone.
 *
 * Events are told from within h2_session_receive, and `give` from within h2_session_pull. An event may submit and
 * reset, whose frames are pulled afterwards; it may not receive, pull, or free the session: note, and act in the turn.
 *
 * Windows. What came of content is given back to the connection's window at once, so that no stream holds up another;
 * to the stream's window by h2_session_consume, when it has gone on. So a stream takes no more memory than its window.
 */
struct h2_session;

/* NULL: no memory. Our SETTINGS, and a client's preface, are the first bytes to be pulled. */
struct h2_session *h2_session_new(const struct h2_terms *terms);
/* Streams are not told. */
void h2_session_free(struct h2_session *session);

/*
 * ST_OK; ST_BAD: what came is nothing that can be gone on with; ST_NOMEM. A breach of the protocol shows when the
 * GOAWAY has been pulled that it is answered with: h2_session_is_broken.
 */
enum status h2_session_receive(struct h2_session *session, struct span bytes) MUST_CHECK;

/* The next bytes to go, of as many frames as there are, at `to`. *len 0: none. ST_NOMEM: the connection is over. */
enum status h2_session_pull(struct h2_session *session, void *to, size_t cap, size_t *len) MUST_CHECK;
/* Is it worth a pull? False: it would give nothing. */
bool h2_session_has_frames(const struct h2_session *session);

/* Has the peer broken the protocol? */
bool h2_session_is_broken(const struct h2_session *session);
/* Was it this stream's head, by a field longer than 64 KiB, which nobody reads? */
bool h2_session_choked_on(const struct h2_session *session, int32_t id);
/* May anything come, or go? If neither, the connection is over. */
bool h2_session_is_over(const struct h2_session *session);

/* Frames that wait to be pulled, beside content. */
size_t h2_session_queued(const struct h2_session *session);

/* How many streams the peer lets us have open; as RFC 9113 6.5.2 has it before it says so: any number, taken as 100. */
uint32_t h2_session_peer_streams(const struct h2_session *session);
/* Have the peer's SETTINGS come? */
bool h2_session_knows_peer(const struct h2_session *session);
/* Frames that are parts of messages (HEADERS, DATA), and have come so far. */
uint32_t h2_session_parts(const struct h2_session *session);

/*
 * A client's request; `end`: without content, else `give` is asked for it. ST_OK: *id is its number. ST_LIMIT: no
 * number is left on this connection.
 */
enum status h2_session_request(struct h2_session *session, const struct h2_field *fields, size_t count,
                               bool end, void *stream, int32_t *id) MUST_CHECK;
/* A server's response, interim or final, likewise. */
enum status h2_session_respond(struct h2_session *session, int32_t id, const struct h2_field *fields,
                               size_t count, bool end) MUST_CHECK;
enum status h2_session_interim(struct h2_session *session, int32_t id, const struct h2_field *fields,
                               size_t count) MUST_CHECK;
/*
 * Trailers. From within `give` that sets *end: they take the place of the stream's end. From elsewhere, when all
 * content has been given.
 */
enum status h2_session_trailers(struct h2_session *session, int32_t id, const struct h2_field *fields,
                                size_t count) MUST_CHECK;
/* There is content again, or its end. */
void h2_session_resume(struct h2_session *session, int32_t id);
/* Content of this stream has gone on: so much more may come. */
void h2_session_consume(struct h2_session *session, int32_t id, size_t len);
/* The stream's user is told nothing more. */
void h2_session_forget(struct h2_session *session, int32_t id);
void h2_session_reset(struct h2_session *session, int32_t id, enum h2_code code);

/* A server's terms are others now: where they allow the peer more than it has been told, it is told of that. */
void h2_session_allow(struct h2_session *session, uint32_t max_streams, bool tunnels);
/* A server's first GOAWAY, after which streams still come; then the last one, or a client's. */
void h2_session_shut(struct h2_session *session);
void h2_session_goaway(struct h2_session *session, enum h2_code code);
/* Asks for a sign of life; h2_session_pongs counts the answers. */
void h2_session_ping(struct h2_session *session);
uint32_t h2_session_pongs(const struct h2_session *session);

#endif
