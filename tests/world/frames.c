#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_LEN (sizeof(PREFACE) - 1)
#define HEAD        9u
#define PIECE       16384u

/* ---- what is said -------------------------------------------------------------------------------------- */

static size_t put_u32(char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(value >> (24 - 8 * i));
    return 4;
}

/* A frame's head, over content that stands behind it already. */
static size_t close_frame(char *out, uint8_t type, uint8_t flags, uint32_t stream, size_t len)
{
    out[0] = (char)(len >> 16);
    out[1] = (char)(len >> 8);
    out[2] = (char)len;
    out[3] = (char)type;
    out[4] = (char)flags;
    (void)put_u32(out + 5, stream);
    return HEAD + len;
}

/* A literal that enters no table (RFC 7541 6.2.2). */
static size_t put_field(char *out, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);

    out[0] = 0;
    out[1] = (char)name_len;
    memcpy(out + 2, name, name_len);
    out[2 + name_len] = (char)value_len;
    memcpy(out + 3 + name_len, value, value_len);
    return 3 + name_len + value_len;
}

static size_t put_number_field(char *out, const char *name, uint64_t value)
{
    char digits[24];

    (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    return put_field(out, name, digits);
}

static size_t put_setting(char *out, uint16_t id, uint32_t value)
{
    out[0] = (char)(id >> 8);
    out[1] = (char)id;
    return 2 + put_u32(out + 2, value);
}

/* SETTINGS with the largest window of a stream, and the largest of the connection: no caller waits for one. */
size_t frames_put_greeting(char *out)
{
    size_t at = PREFACE_LEN;

    memcpy(out, PREFACE, PREFACE_LEN);
    at += frames_put_settings(out + at, UINT32_MAX, INT32_MAX);
    return at + frames_put_window(out + at, 0, INT32_MAX - 65535);
}

size_t frames_put_settings(char *out, uint32_t streams, uint32_t window)
{
    size_t len = put_setting(out + HEAD, FRAME_INITIAL_WINDOW, window);

    if (streams != UINT32_MAX)
        len += put_setting(out + HEAD + len, FRAME_MAX_STREAMS, streams);
    return close_frame(out, FRAME_SETTINGS, 0, 0, len);
}

size_t frames_put_ack(char *out)
{
    return close_frame(out, FRAME_SETTINGS, FRAME_ACK, 0, 0);
}

size_t frames_put_window(char *out, uint32_t stream, uint32_t more)
{
    (void)put_u32(out + HEAD, more);
    return close_frame(out, FRAME_WINDOW_UPDATE, 0, stream, 4);
}

size_t frames_put_pong(char *out, const char *bytes)
{
    memcpy(out + HEAD, bytes, 8);
    return close_frame(out, FRAME_PING, FRAME_ACK, 0, 8);
}

size_t frames_put_request(char *out, uint32_t stream, const char *method, uint64_t number, unsigned left_ms,
                          size_t content)
{
    char path[24];
    size_t len = 0;
    char *block = out + HEAD;

    (void)snprintf(path, sizeof(path), "/%llu", (unsigned long long)number);
    len += put_field(block + len, ":method", method);
    len += put_field(block + len, ":scheme", "http");
    len += put_field(block + len, ":path", path);
    len += put_field(block + len, ":authority", "sim");
    if (left_ms != 0)
        len += put_number_field(block + len, "x-t", left_ms);
    if (content != 0)
        len += put_number_field(block + len, "content-length", content);
    len = close_frame(out, FRAME_HEADERS,
                      (uint8_t)(FRAME_END_HEADERS | (content == 0 ? FRAME_END_STREAM : 0)), stream, len);
    if (content == 0)
        return len;
    memset(out + len + HEAD, 'x', content);
    return len + close_frame(out + len, FRAME_DATA, FRAME_END_STREAM, stream, content);
}

size_t frames_put_head(char *out, uint32_t stream, const char *status, size_t length, bool ends,
                       const char *name, const char *value)
{
    size_t len = put_field(out + HEAD, ":status", status);

    if (length != SIZE_MAX)
        len += put_number_field(out + HEAD + len, "content-length", length);
    if (name != NULL)
        len += put_field(out + HEAD + len, name, value);
    return close_frame(out, FRAME_HEADERS, (uint8_t)(FRAME_END_HEADERS | (ends ? FRAME_END_STREAM : 0)),
                       stream, len);
}

size_t frames_put_content(char *out, uint32_t stream, char (*byte_at)(uint64_t number, size_t at),
                          uint64_t number, size_t from, size_t len, bool ends)
{
    size_t at = 0;

    do {
        size_t part = len < PIECE ? len : PIECE;

        for (size_t i = 0; i < part; i++)
            out[at + HEAD + i] = byte_at(number, from + i);
        len -= part;
        from += part;
        at += close_frame(out + at, FRAME_DATA, ends && len == 0 ? FRAME_END_STREAM : 0, stream, part);
    } while (len != 0);
    return at;
}

size_t frames_put_reset(char *out, uint32_t stream, uint32_t code)
{
    (void)put_u32(out + HEAD, code);
    return close_frame(out, FRAME_RST_STREAM, 0, stream, 4);
}

size_t frames_put_goaway(char *out, uint32_t last, uint32_t code)
{
    (void)put_u32(out + HEAD, last);
    (void)put_u32(out + HEAD + 4, code);
    return close_frame(out, FRAME_GOAWAY, 0, 0, 8);
}

/* ---- what is heard ------------------------------------------------------------------------------------- */

bool frames_init(struct frames *frames, bool is_api)
{
    *frames = (struct frames){.wants_preface = is_api};
    return nghttp2_hd_inflate_new(&frames->inflater) == 0;
}

void frames_fini(struct frames *frames)
{
    if (frames->inflater != NULL)
        nghttp2_hd_inflate_del(frames->inflater);
    free(frames->content);
    *frames = (struct frames){.inflater = NULL};
}

void frames_next(struct frames *frames)
{
    if (frames->stream != 0)
        frames->last = frames->stream;
    frames->stream = 0;
    frames->len = 0;
    frames->retry_after = 0;
    frames->ended = frames->was_reset = false;
}

static uint64_t number_of(const uint8_t *bytes, size_t len)
{
    char text[24] = "";

    memcpy(text, bytes, len < 23 ? len : 23);
    return strtoull(text, NULL, 10);
}

static bool is_named(const nghttp2_nv *field, const char *name)
{
    return field->namelen == strlen(name) && memcmp(field->name, name, field->namelen) == 0;
}

static void note_field(struct frame *frame, const nghttp2_nv *field)
{
    if (is_named(field, ":status"))
        frame->number = number_of(field->value, field->valuelen);
    if (is_named(field, "retry-after"))
        frame->retry_after = number_of(field->value, field->valuelen);
    if (is_named(field, ":path") && field->valuelen > 1)
        frame->number = number_of(field->value + 1, field->valuelen - 1);
}

static bool inflate(struct frames *frames, struct frame *frame)
{
    const uint8_t *block = (const uint8_t *)frame->bytes;
    size_t len = frame->len;
    int flags = 0;

    for (;;) {
        nghttp2_nv field;
        ssize_t used = nghttp2_hd_inflate_hd2(frames->inflater, &field, &flags, block, len, 1);

        if (used < 0)
            return false;
        block += used;
        len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            note_field(frame, &field);
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0)
            return nghttp2_hd_inflate_end_headers(frames->inflater) == 0;
    }
}

static bool take_content(struct frames *frames, const char *bytes, size_t len)
{
    if (frames->len + len > frames->cap) {
        frames->cap = 2 * (frames->len + len);
        frames->content = realloc(frames->content, frames->cap);
        if (frames->content == NULL)
            return false;
    }
    if (len != 0)
        memcpy(frames->content + frames->len, bytes, len);
    frames->len += len;
    return true;
}

static uint32_t u31_at(const char *bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;

    return (uint32_t)(at[0] & 127) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint32_t frame_u31(const struct frame *frame)
{
    return u31_at(frame->bytes);
}

bool frame_setting(const struct frame *frame, uint16_t id, uint32_t *value)
{
    bool is_there = false;

    for (size_t at = 0; at + 6 <= frame->len; at += 6) {
        const uint8_t *entry = (const uint8_t *)frame->bytes + at;

        if ((entry[0] << 8 | entry[1]) != id)
            continue;
        *value = u31_at(frame->bytes + at + 2);
        is_there = true;
    }
    return is_there;
}

static bool hear_one(void *arg, const struct frame *frame)
{
    struct frames *frames = arg;
    bool is_mine, carries = frame->type == FRAME_HEADERS || frame->type == FRAME_DATA;

    if (frame->type == FRAME_HEADERS && frames->stream == 0 && frame->stream > frames->last)
        frames->stream = frame->stream;
    is_mine = frame->stream != 0 && frame->stream == frames->stream;
    if (!is_mine)
        return frame->stream == 0 || frame->stream <= frames->last || frames->stream == 0 ||
               frame->type != FRAME_HEADERS;
    if (frame->type == FRAME_HEADERS) {
        frames->number = frame->number;
        frames->retry_after = frame->retry_after;
    }
    if (frame->type == FRAME_DATA && !take_content(frames, frame->bytes, frame->len))
        return false;
    frames->ended |= carries && (frame->flags & FRAME_END_STREAM) != 0;
    frames->was_reset |= frame->type == FRAME_RST_STREAM;
    return true;
}

bool frames_hear(struct frames *frames, struct net_end *end)
{
    return frames_hear_each(frames, end, hear_one, frames);
}

bool frames_hear_each(struct frames *frames, struct net_end *end,
                      bool (*each)(void *arg, const struct frame *frame), void *arg)
{
    if (frames->wants_preface && end->out_len >= PREFACE_LEN) {
        if (memcmp(end->out, PREFACE, PREFACE_LEN) != 0)
            return false;
        net_take(end, PREFACE_LEN);
        frames->wants_preface = false;
    }
    while (!frames->wants_preface && end->out_len >= HEAD) {
        const char *at = end->out;
        size_t len = u31_at(at) >> 8;
        struct frame frame = {.type = (uint8_t)at[3],
                              .flags = (uint8_t)at[4],
                              .stream = u31_at(at + 5),
                              .bytes = at + HEAD,
                              .len = len};

        if (len > PIECE)
            return false;
        if (end->out_len < HEAD + len)
            break;
        if (frame.type == FRAME_HEADERS &&
            ((frame.flags & FRAME_END_HEADERS) == 0 || !inflate(frames, &frame)))
            return false;
        if (!each(arg, &frame))
            return false;
        net_take(end, HEAD + len);
    }
    return true;
}
