#ifndef CURFEW_WIRE_H1_SEND_H
#define CURFEW_WIRE_H1_SEND_H

#include <stddef.h>

#include "http/h1_writer.h"
#include "runtime/transport.h"
#include "wire/stream.h"

/*
 * stream_ops.send for whoever writes HTTP/1.1: the writer's head, and the piece in the writer's framing, as far as the
 * transport takes them. Notes in the stream how far that was.
 */
enum stream_result h1_send(struct stream *stream, struct h1_writer *writer, struct transport *transport,
                           const struct stream_piece *piece, size_t *taken);

#endif
