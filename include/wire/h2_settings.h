#ifndef CURFEW_WIRE_H2_SETTINGS_H
#define CURFEW_WIRE_H2_SETTINGS_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/h2_terms.h"

/*
 * Our SETTINGS (RFC 9113 6.5). nghttp2 ends the connection, and all calls on it, for one stream more than a server's
 * SETTINGS allow; by RFC 9113 5.1.2 it is that stream's error alone. So nghttp2 is told of more than the peer is, and
 * the session refuses what is between: the frame that nghttp2 serializes is replaced by one that is as long. Within
 * wire/h2_session.c.
 */
struct h2_settings {
    uint8_t len; /* 0: what nghttp2 serializes is what goes */
    uint8_t frame[9 + 4 * 6];
};

/* To be sent as the first frame; and the connection's window, as large as may be: what came is given back at once. */
bool h2_settings_submit(nghttp2_session *nghttp2, const struct h2_terms *terms, struct h2_settings *said);

#endif
