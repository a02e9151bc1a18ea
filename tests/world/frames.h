#ifndef CURFEW_TESTS_WORLD_FRAMES_H
#define CURFEW_TESTS_WORLD_FRAMES_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net.h"

/*
 * HTTP/2 for those at the other ends of a world's network: what they say is put into frames by hand, whole, to be sent in
 * pieces of any length; what curfew writes is taken out of the network frame by frame. A caller hears one message at a
 * time, whose frames are put together here.
 */
#define FRAMES_ROOM    512u /* for a greeting, a head and the ends of content */
#define FRAMES_PREFACE 24u  /* bytes that tell a caller of HTTP/2 from one of HTTP/1.1 */

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8
};
enum { FRAME_ACK = 1, FRAME_END_STREAM = 1, FRAME_END_HEADERS = 4 };
enum { FRAME_MAX_STREAMS = 3, FRAME_INITIAL_WINDOW = 4 };

/* A frame that was heard. */
struct frame {
    uint8_t type, flags;
    uint32_t stream;
    const char *bytes; /* behind its head */
    size_t len;
    /* Of HEADERS: */
    uint64_t number; /* behind the slash of :path, or :status */
    uint64_t retry_after;
};

struct frames {
    nghttp2_hd_inflater *inflater;
    bool wants_preface;
    uint32_t stream; /* of the message; 0: none has begun */
    uint32_t last;   /* stream of the one before: what still comes of it does not matter */
    uint64_t number; /* behind the slash of :path, or :status */
    uint64_t retry_after;
    char *content;
    size_t len, cap;
    bool ended, was_reset;
};

/* False: no memory. */
bool frames_init(struct frames *frames, bool is_api);
void frames_fini(struct frames *frames);

/* Takes in all frames that are there, whole ones. False: they are not as RFC 9113 has them. */
bool frames_hear(struct frames *frames, struct net_end *end);
/* Likewise, each of them by itself; false from `each` ends it. */
bool frames_hear_each(struct frames *frames, struct net_end *end,
                      bool (*each)(void *arg, const struct frame *frame), void *arg);
/* A SETTINGS frame's value; false: it has none. */
bool frame_setting(const struct frame *frame, uint16_t id, uint32_t *value);
/* The first number in it, without its highest bit. */
uint32_t frame_u31(const struct frame *frame);
/* The message at hand is over; the next one may begin. */
void frames_next(struct frames *frames);

/* Each appends at out and returns how many bytes that were. */
size_t frames_put_greeting(char *out);
size_t frames_put_request(char *out, uint32_t stream, const char *method, uint64_t number, unsigned left_ms,
                          size_t content);
/* Without content, it is the whole response. length: SIZE_MAX: it is not told. name: of one more field, or NULL. */
size_t frames_put_head(char *out, uint32_t stream, const char *status, size_t length, bool ends,
                       const char *name, const char *value);
/* content_byte(number, i): the i-th byte. */
size_t frames_put_content(char *out, uint32_t stream, char (*byte_at)(uint64_t number, size_t at),
                          uint64_t number, size_t from, size_t len, bool ends);
size_t frames_put_reset(char *out, uint32_t stream, uint32_t code);
size_t frames_put_goaway(char *out, uint32_t last, uint32_t code);
/* streams: UINT32_MAX: not told. */
size_t frames_put_settings(char *out, uint32_t streams, uint32_t window);
size_t frames_put_ack(char *out);
size_t frames_put_window(char *out, uint32_t stream, uint32_t more);
/* To a PING with these 8 bytes. */
size_t frames_put_pong(char *out, const char *bytes);

#endif
