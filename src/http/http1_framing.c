#include "http/http1_fields.h"

#include "base/invariant.h"
#include "base/number.h"
#include "http/octet.h"

static enum cause read_number(struct span value, uint64_t *length, const char **detail)
{
    if (value.len == 0 || !octet_all(value, OCTET_DIGIT)) {
        *detail = "Content-Length is not one number";
        return CAUSE_BAD_REQUEST;
    }
    if (number_u64(value, length) != NUMBER_OK || *length > INT64_MAX) {
        *detail = "Content-Length is too large";
        return CAUSE_CONTENT_TOO_LARGE;
    }
    return CAUSE_NONE;
}

/* The numbers of a list, in which nothing else may stand: the same one again and again (RFC 9112 6.3). */
static enum cause read_same_numbers(struct span list, bool *any, uint64_t *length, const char **detail)
{
    for (;;) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma != NULL ? (size_t)(comma - list.ptr) : list.len;
        uint64_t number;
        enum cause cause = read_number(span_trim((struct span){list.ptr, len}), &number, detail);

        if (cause != CAUSE_NONE)
            return cause;
        if (*any && number != *length) {
            *detail = "Content-Length says two different numbers";
            return CAUSE_BAD_REQUEST;
        }
        *any = true;
        *length = number;
        if (comma == NULL)
            return CAUSE_NONE;
        list.ptr += len + 1;
        list.len -= len + 1;
    }
}

/* A length that is said more than once, in fields or in a list. */
static enum cause read_repeated_length(struct http1_head *head, const char **detail)
{
    enum cause cause = CAUSE_NONE;
    bool any = false;

    for (unsigned i = 0; i < head->field_count && cause == CAUSE_NONE; i++) {
        if (head->fields[i].id != HTTP1_FIELD_CONTENT_LENGTH)
            continue;
        head->odd = head->fields[i].line;
        cause = read_same_numbers(head->fields[i].value, &any, &head->content_length, detail);
    }
    return cause;
}

static enum cause read_content_length(struct http1_head *head, const struct http1_seen *seen,
                                      bool is_response, const char **detail)
{
    struct span value = head->fields[seen->first[HTTP1_FIELD_CONTENT_LENGTH]].value;
    bool several = seen->count[HTTP1_FIELD_CONTENT_LENGTH] > 1;
    enum cause cause;

    PRE(head->fields[seen->first[HTTP1_FIELD_CONTENT_LENGTH]].id == HTTP1_FIELD_CONTENT_LENGTH);
    head->odd = head->fields[seen->first[HTTP1_FIELD_CONTENT_LENGTH]].line;
    if (several && !is_response) {
        *detail = "two Content-Length fields";
        return CAUSE_BAD_REQUEST;
    }
    cause = read_number(value, &head->content_length, detail);
    if (several || (cause != CAUSE_NONE && is_response && memchr(value.ptr, ',', value.len) != NULL)) {
        *detail = "";
        cause = read_repeated_length(head, detail);
        head->tolerated = true;
    }
    if (cause == CAUSE_NONE)
        head->framing = HTTP1_LENGTH;
    return cause;
}

static bool holds_chunked(struct span s)
{
    const size_t len = sizeof("chunked") - 1;

    for (size_t i = 0; i + len <= s.len; i++)
        if (span_eq_nocase((struct span){s.ptr + i, len}, SPAN_LIT("chunked")))
            return true;
    return false;
}

/*
 * A value that is not just "chunked". Other codings in front of it are sound but not ours to undo; anything
 * by which one recipient may see chunked and another not is an attack or a fault.
 */
static enum cause judge_codings(struct span value, const char **detail)
{
    struct span rest = value, coding;
    bool other = false, chunked = false;

    while (span_next_element(&rest, &coding)) {
        bool is_chunked = span_eq_nocase(coding, SPAN_LIT("chunked"));

        if (chunked || !http1_is_token(coding) || (!is_chunked && holds_chunked(coding))) {
            *detail = "Transfer-Encoding is malformed";
            return CAUSE_BAD_REQUEST;
        }
        chunked = is_chunked;
        other |= !is_chunked;
    }
    if (!other) {
        *detail = "Transfer-Encoding is malformed";
        return CAUSE_BAD_REQUEST;
    }
    *detail = "the only transfer coding that is taken is chunked";
    return CAUSE_TRANSFER_CODING;
}

static enum cause read_transfer_encoding(struct http1_head *head, const struct http1_seen *seen,
                                         const char **detail)
{
    const struct http1_field *field = &head->fields[seen->first[HTTP1_FIELD_TRANSFER_ENCODING]];

    PRE(field->id == HTTP1_FIELD_TRANSFER_ENCODING);
    head->odd = field->line;
    if (seen->count[HTTP1_FIELD_TRANSFER_ENCODING] > 1) {
        *detail = "two Transfer-Encoding fields";
        return CAUSE_BAD_REQUEST;
    }
    if (seen->count[HTTP1_FIELD_CONTENT_LENGTH] != 0) {
        *detail = "Transfer-Encoding and Content-Length";
        return CAUSE_BAD_REQUEST;
    }
    if (head->minor == 0) {
        *detail = "Transfer-Encoding in HTTP/1.0";
        return CAUSE_BAD_REQUEST;
    }
    if (!span_eq_nocase(field->value, SPAN_LIT("chunked")))
        return judge_codings(field->value, detail);
    head->framing = HTTP1_CHUNKED;
    return CAUSE_NONE;
}

enum cause http1_read_framing(struct http1_head *head, const struct http1_seen *seen, bool is_response,
                              const char **detail)
{
    head->framing = HTTP1_NO_CONTENT;
    head->content_length = 0;
    if (seen->count[HTTP1_FIELD_TRANSFER_ENCODING] != 0)
        return read_transfer_encoding(head, seen, detail);
    if (seen->count[HTTP1_FIELD_CONTENT_LENGTH] != 0)
        return read_content_length(head, seen, is_response, detail);
    return CAUSE_NONE;
}
