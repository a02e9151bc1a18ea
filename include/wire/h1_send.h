#ifndef CURFEW_WIRE_H1_SEND_H
#define CURFEW_WIRE_H1_SEND_H

#include <stdbool.h>
#include <stddef.h>

#include "http/h1_writer.h"
#include "runtime/transport.h"
#include "wire/stream.h"

/*
 * stream_ops.send for whoever writes HTTP/1.1: the writer's head, and the piece in the writer's framing, as far as the
 * transport takes them. *progress: it took a byte.
 */
enum stream_result h1_send(struct h1_writer *writer, struct transport *transport,
                           const struct stream_piece *piece, size_t *taken, bool *progress);

#endif
