#ifndef CURFEW_WIRE_H2_SETTINGS_H
#define CURFEW_WIRE_H2_SETTINGS_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/h2_terms.h"

/*
 * Our SETTINGS (RFC 9113 6.5). nghttp2 ends the connection, and all calls on it, for one stream more than a server's
 * SETTINGS allow; by RFC 9113 5.1.2 it is that stream's error alone. So nghttp2 is told of more than the peer is, and
 * the session refuses what is between. Within wire/h2_session*.c.
 */
#define H2_SETTINGS_MAX (9 + 4 * 6)

/* To be sent as the first frame; and the connection's window, as large as may be: what came is given back at once. */
bool h2_settings_submit(nghttp2_session *nghttp2, const struct h2_terms *terms);
/* To be sent by a server whose terms have changed. Returns what nghttp2 does. */
int h2_settings_renew(nghttp2_session *nghttp2, uint32_t max_streams, bool tunnels);
/* A frame that nghttp2 has serialized, as it is to go: itself, or a copy. */
const uint8_t *h2_settings_told(const uint8_t *frame, size_t len, uint32_t max_streams,
                                uint8_t copy[H2_SETTINGS_MAX]);

#endif
