#include "faulty/content.h"

/* 16 hex digits fill 64 bits. */
#define SIZE_DIGITS_MAX 16

void faulty_content_begin(struct faulty_content *content, const struct faulty_request *request)
{
    *content = (struct faulty_content){.state = FAULTY_CONTENT_LENGTH, .left = request->content_bytes};
    if (request->chunked)
        content->state = FAULTY_CHUNK_SIZE;
    else if (request->content_bytes == 0)
        content->state = FAULTY_CONTENT_DONE;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum faulty_content_state take_size_char(struct faulty_content *content, char c)
{
    int digit = hex_value(c);

    if (digit >= 0 && content->size_digits < SIZE_DIGITS_MAX) {
        content->left = content->left << 4 | (uint64_t)digit;
        content->size_digits++;
        return FAULTY_CHUNK_SIZE;
    }
    if (content->size_digits == 0 || digit >= 0)
        return FAULTY_CONTENT_BROKEN;
    if (c == '\r')
        return FAULTY_CHUNK_SIZE_LF;
    return c == ';' ? FAULTY_CHUNK_EXTENSION : FAULTY_CONTENT_BROKEN;
}

static enum faulty_content_state take_trailer_char(struct faulty_content *content, char c)
{
    if (++content->trailer_bytes > FAULTY_HEAD_MAX || c == '\n')
        return FAULTY_CONTENT_BROKEN;
    return c == '\r' ? FAULTY_TRAILER_LF : FAULTY_TRAILER_LINE;
}

static enum faulty_content_state expect_lf(char c, enum faulty_content_state next)
{
    return c == '\n' ? next : FAULTY_CONTENT_BROKEN;
}

/* One byte of chunked framing (RFC 9112 7.1). */
static enum faulty_content_state take_framing(struct faulty_content *content, char c)
{
    switch (content->state) {
    case FAULTY_CHUNK_SIZE: return take_size_char(content, c);
    case FAULTY_CHUNK_EXTENSION:
        if (c == '\n')
            return FAULTY_CONTENT_BROKEN;
        return c == '\r' ? FAULTY_CHUNK_SIZE_LF : FAULTY_CHUNK_EXTENSION;
    case FAULTY_CHUNK_SIZE_LF:
        return expect_lf(c, content->left == 0 ? FAULTY_TRAILER_START : FAULTY_CHUNK_DATA);
    case FAULTY_CHUNK_DATA_CR: return c == '\r' ? FAULTY_CHUNK_DATA_LF : FAULTY_CONTENT_BROKEN;
    case FAULTY_CHUNK_DATA_LF: content->size_digits = 0; return expect_lf(c, FAULTY_CHUNK_SIZE);
    case FAULTY_TRAILER_START: return c == '\r' ? FAULTY_CHUNK_END_LF : take_trailer_char(content, c);
    case FAULTY_TRAILER_LINE: return take_trailer_char(content, c);
    case FAULTY_TRAILER_LF: return expect_lf(c, FAULTY_TRAILER_START);
    case FAULTY_CHUNK_END_LF: return expect_lf(c, FAULTY_CONTENT_DONE);
    default: return FAULTY_CONTENT_BROKEN;
    }
}

static size_t take_data(struct faulty_content *content, struct span bytes, struct span *data)
{
    size_t taken = bytes.len < content->left ? bytes.len : (size_t)content->left;

    *data = (struct span){bytes.ptr, taken};
    content->left -= taken;
    if (content->left == 0)
        content->state = content->state == FAULTY_CHUNK_DATA ? FAULTY_CHUNK_DATA_CR : FAULTY_CONTENT_DONE;
    return taken;
}

size_t faulty_content_take(struct faulty_content *content, struct span bytes, struct span *data)
{
    size_t taken = 0;

    *data = (struct span){bytes.ptr, 0};
    if (content->state == FAULTY_CONTENT_LENGTH || content->state == FAULTY_CHUNK_DATA)
        return take_data(content, bytes, data);
    while (taken < bytes.len && content->state != FAULTY_CHUNK_DATA && content->state < FAULTY_CONTENT_DONE)
        content->state = take_framing(content, bytes.ptr[taken++]);
    return taken;
}
