#ifndef CURFEW_WIRE_H1_RECEIVE_H
#define CURFEW_WIRE_H1_RECEIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "http/h1_reader.h"
#include "runtime/buffer.h"
#include "runtime/transport.h"
#include "wire/stream.h"

/*
 * Has more of a message behind what is in the buffer: of a head, up to head_cap bytes of it, or, once the reader is
 * open, of its content; that of which more than a usual block is still to come is received into large ones. No empty
 * block is kept. ST_LIMIT: the buffer is full. Else as transport_read.
 */
enum status h1_receive(struct transport *transport, struct buffer *in, const struct h1_reader *reader,
                       uint32_t head_cap) MUST_CHECK;

/* stream_ops.peek for whoever reads HTTP/1.1. False: the content breaks its framing. */
bool h1_peek(struct h1_reader *reader, struct buffer *in, bool is_first,
             struct stream_piece *piece) MUST_CHECK;

#endif
