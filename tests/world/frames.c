#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_LEN (sizeof(PREFACE) - 1)
#define HEAD        9u
#define PIECE       16384u

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, END_HEADERS = 4 };

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

/* SETTINGS with the largest window of a stream, and the largest of the connection: nobody here waits for one. */
size_t frames_put_greeting(char *out, bool is_caller)
{
    size_t at = 0;

    if (is_caller) {
        memcpy(out, PREFACE, PREFACE_LEN);
        at = PREFACE_LEN;
    }
    out[at + HEAD] = 0;
    out[at + HEAD + 1] = 4;
    (void)put_u32(out + at + HEAD + 2, INT32_MAX);
    at += close_frame(out + at, SETTINGS, 0, 0, 6);
    (void)put_u32(out + at + HEAD, INT32_MAX - 65535);
    return at + close_frame(out + at, WINDOW_UPDATE, 0, 0, 4);
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
    len = close_frame(out, HEADERS, (uint8_t)(END_HEADERS | (content == 0 ? END_STREAM : 0)), stream, len);
    if (content == 0)
        return len;
    memset(out + len + HEAD, 'x', content);
    return len + close_frame(out + len, DATA, END_STREAM, stream, content);
}

size_t frames_put_head(char *out, uint32_t stream, const char *status, size_t length, bool ends,
                       const char *name, const char *value)
{
    size_t len = put_field(out + HEAD, ":status", status);

    if (length != SIZE_MAX)
        len += put_number_field(out + HEAD + len, "content-length", length);
    if (name != NULL)
        len += put_field(out + HEAD + len, name, value);
    return close_frame(out, HEADERS, (uint8_t)(END_HEADERS | (ends ? END_STREAM : 0)), stream, len);
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
        at += close_frame(out + at, DATA, ends && len == 0 ? END_STREAM : 0, stream, part);
    } while (len != 0);
    return at;
}

size_t frames_put_reset(char *out, uint32_t stream, uint32_t code)
{
    (void)put_u32(out + HEAD, code);
    return close_frame(out, RST_STREAM, 0, stream, 4);
}

size_t frames_put_goaway(char *out, uint32_t last)
{
    (void)put_u32(out + HEAD, last);
    (void)put_u32(out + HEAD + 4, 0);
    return close_frame(out, GOAWAY, 0, 0, 8);
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

static void note_field(struct frames *frames, const nghttp2_nv *field)
{
    char value[24] = "";

    if (field->namelen == 7 && memcmp(field->name, ":status", 7) == 0) {
        memcpy(value, field->value, field->valuelen < 23 ? field->valuelen : 23);
        frames->number = strtoull(value, NULL, 10);
    }
    if (field->namelen == 11 && memcmp(field->name, "retry-after", 11) == 0) {
        memcpy(value, field->value, field->valuelen < 23 ? field->valuelen : 23);
        frames->retry_after = strtoull(value, NULL, 10);
    }
    if (field->namelen == 5 && memcmp(field->name, ":path", 5) == 0 && field->valuelen > 1) {
        memcpy(value, field->value + 1, field->valuelen - 1 < 23 ? field->valuelen - 1 : 23);
        frames->number = strtoull(value, NULL, 10);
    }
}

static bool inflate(struct frames *frames, const char *block, size_t len, bool counts)
{
    int flags = 0;

    for (;;) {
        nghttp2_nv field;
        ssize_t used =
            nghttp2_hd_inflate_hd2(frames->inflater, &field, &flags, (const uint8_t *)block, len, 1);

        if (used < 0)
            return false;
        block += used;
        len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 && counts)
            note_field(frames, &field);
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

static bool hear_one(struct frames *frames, uint8_t type, uint8_t flags, uint32_t stream, const char *bytes,
                     size_t len)
{
    bool is_mine;

    if (type == HEADERS && frames->stream == 0 && stream > frames->last)
        frames->stream = stream;
    is_mine = stream != 0 && stream == frames->stream;
    if (type == HEADERS) {
        if ((flags & END_HEADERS) == 0 || !inflate(frames, bytes, len, is_mine))
            return false;
    } else if (type == DATA && is_mine && !take_content(frames, bytes, len)) {
        return false;
    }
    if (is_mine && (type == HEADERS || type == DATA) && (flags & END_STREAM) != 0)
        frames->ended = true;
    if (is_mine && type == RST_STREAM)
        frames->was_reset = true;
    return stream == 0 || is_mine || stream <= frames->last || frames->stream == 0 || type != HEADERS;
}

bool frames_hear(struct frames *frames, struct net_end *end)
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

        if (len > PIECE)
            return false;
        if (end->out_len < HEAD + len)
            break;
        if (!hear_one(frames, (uint8_t)at[3], (uint8_t)at[4], u31_at(at + 5), at + HEAD, len))
            return false;
        net_take(end, HEAD + len);
    }
    return true;
}
