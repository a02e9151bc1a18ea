#ifndef CURFEW_HTTP_HTTP1_H
#define CURFEW_HTTP_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/cause.h"

/*
 * HTTP/1.x messages (RFC 9112), read in place. What can be understood in two ways is refused: bare CR, obs-fold, space
 * before a colon, control bytes, lengths that differ, a length beside a coding. Requests are read strictly. A response
 * that is not as it should be, but has one reading (lines that end with LF, the same length twice), is tolerated: it is
 * taken, and marked so; it is written anew, and its connection is not used again.
 *
 * Reading a message is: http1_scan until the whole head lies in the buffer, http1_parse_request or _response
 * once, then http1_content_next over the content. The result does not depend on how the bytes were split into
 * reads. Spans point into the buffer that was parsed and live as long as it does. Nothing allocates. One
 * thread.
 */

enum http1_status {
    HTTP1_MORE, /* more bytes are needed */
    HTTP1_DONE,
    HTTP1_BAD, /* the bytes break the rules */
};

/* Fields that a proxy must know; all others are HTTP1_FIELD_OTHER. */
enum http1_field_id {
    HTTP1_FIELD_OTHER,
    HTTP1_FIELD_AUTHORIZATION,
    HTTP1_FIELD_CONNECTION,
    HTTP1_FIELD_CONTENT_LENGTH,
    HTTP1_FIELD_DATE,
    HTTP1_FIELD_EXPECT,
    HTTP1_FIELD_FORWARDED,
    HTTP1_FIELD_HOST,
    HTTP1_FIELD_KEEP_ALIVE,
    HTTP1_FIELD_PERSISTENT_AUTH,
    HTTP1_FIELD_PROXY_AUTHENTICATE,
    HTTP1_FIELD_PROXY_AUTHORIZATION,
    HTTP1_FIELD_PROXY_CONNECTION,
    HTTP1_FIELD_TE,
    HTTP1_FIELD_TRACEPARENT,
    HTTP1_FIELD_TRACESTATE,
    HTTP1_FIELD_TRAILER,
    HTTP1_FIELD_TRANSFER_ENCODING,
    HTTP1_FIELD_UPGRADE,
    HTTP1_FIELD_VIA,
    HTTP1_FIELD_WWW_AUTHENTICATE,
    HTTP1_FIELD_X_FORWARDED_FOR,
    HTTP1_FIELD_X_FORWARDED_HOST,
    HTTP1_FIELD_X_FORWARDED_PROTO,
};

/* In http1_head.known, the bit of a field: HTTP1_BIT(HOST). */
#define HTTP1_BIT(name) (1u << HTTP1_FIELD_##name)

struct http1_field {
    struct span line; /* the whole field line with its line end; CRLF, or LF alone if the head is tolerated */
    struct span name;
    struct span value; /* without the white space around it */
    enum http1_field_id id;
    bool nominated; /* Connection names it: it goes no further than this hop (RFC 9110 7.6.1) */
};

enum http1_method {
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_OPTIONS,
    HTTP1_TRACE,
    HTTP1_PATCH,
    HTTP1_CONNECT,
    HTTP1_METHOD_OTHER,
};

/* How the content is delimited (RFC 9112 6.3). */
enum http1_framing { HTTP1_NO_CONTENT, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

/* A field line has at least three bytes, "A:" and LF: no more fields than this can a head of so many bytes have. */
#define HTTP1_FIELDS_IN(head_bytes) ((head_bytes) / 3)
/* A head over an array of fields. */
#define HTTP1_HEAD_OVER(array)                                                                               \
    {                                                                                                        \
        .fields = (array), .field_cap = sizeof(array) / sizeof((array)[0])                                   \
    }

/* A parsed head. One a thread, used for one head after another; its room for fields is the owner's. */
struct http1_head {
    /* request line */
    struct span method;
    enum http1_method method_id;
    struct span target;    /* as received */
    struct span authority; /* of an absolute-form target; else empty */
    struct span path;      /* of the target, with its query: "/x?y", "*", or "?y", short for "/?y" */
    struct span whole;     /* request: all of the head, from its method to the empty line */
    /* status line */
    uint16_t code;
    struct span reason;

    uint8_t minor; /* HTTP/1.minor: 0 or 1 */
    uint32_t field_count, field_cap;
    struct http1_field *fields;
    uint32_t known; /* HTTP1_BIT of each known field that is there: what is not need not be looked for */

    enum http1_framing framing;
    uint64_t content_length; /* if framing, or described, is HTTP1_LENGTH */
    /*
     * Response without content: what its framing fields tell of the content that HEAD or a condition kept from being
     * sent (RFC 9110 8.6, 9112 6.1): LENGTH, CHUNKED, or NO_CONTENT if they tell nothing, or nothing that can be read.
     */
    enum http1_framing described;
    bool keep_alive;      /* as this message says: version, Connection (RFC 9112 9.3), and not UNTIL_CLOSE */
    bool tolerated;       /* not as it should be, though it has one reading; a response: not kept alive */
    bool expect_continue; /* request: Expect: 100-continue, and there is content to wait with */
    bool te_trailers;     /* request: TE: trailers */
    struct span host;     /* request: the Host field's value */
    struct span traceparent; /* request: its value; empty: none, several, or one for this hop only */
    bool has_date;           /* response */
    /*
     * Request that has Upgrade: the protocol that is asked for on, set by who decides that; empty: none. Response: in;
     * not empty: a 101 is not refused, and who reads it sees to it that it is the one that was asked for.
     */
    struct span upgrade;
    /* Of whoever reads requests: CONNECT is served. Its authority is the target, and so is its path. */
    bool takes_connect;
    struct span odd; /* if the head was refused: the line at fault, and what follows it */
};

/* How far http1_scan has looked; zero it before each head, but for is_response. */
struct http1_scan {
    uint32_t at;      /* start of the first line that is not known to be whole */
    uint32_t looked;  /* bytes before this one are known to be sound */
    uint32_t start;   /* where the head starts: behind an empty line that preceded it (RFC 9112 2.2) */
    bool in_fields;   /* the start line is whole */
    bool is_response; /* set by the reader: a response head */
};

/*
 * Looks for the end of the head in all the bytes received so far (`bytes` starts at the same byte each time).
 * DONE: *head is the head from its start line to the empty line, both included, and *end the offset behind
 * it. BAD at the first NUL or anything else that no head can hold (a bare LF: none of a request), so that a wrong peer
 * is not waited for. Total cost is linear in the bytes.
 */
enum http1_status http1_scan(struct http1_scan *scan, struct span bytes, struct span *head, size_t *end);

/*
 * Is the head longer than `max` bytes? TARGET_TOO_LONG if its first line alone is, else HEAD_TOO_LARGE; NONE if it is
 * not. To be asked after each http1_scan, whatever that said; `end` is as it left it, and 0 as long as it is not DONE.
 * A head that is broken behind so many bytes counts as too long: it would have, had it come slowly.
 */
enum cause http1_head_excess(const struct http1_scan *scan, struct span bytes, size_t end, size_t max);

/*
 * The first line, without its CRLF, if it is whole already: lets a slow request be routed before its head is.
 */
bool http1_first_line(const struct http1_scan *scan, struct span bytes, struct span *line);

/*
 * The line at which http1_scan stopped, and what follows it, for whoever wants to show it: after BAD the one at fault,
 * of a head longer than `max` bytes the one that passes the bound.
 */
struct span http1_odd_line(const struct http1_scan *scan, struct span bytes, size_t max);

/*
 * `line` is as http1_first_line gave it. Only method, method_id, target, authority, path and minor of *out
 * are set. CAUSE_NONE, BAD_REQUEST, METHOD (CONNECT) or VERSION (RFC 9112 3). A method has at most
 * HTTP1_METHOD_MAX letters; the target is as long as the head may be.
 */
#define HTTP1_METHOD_MAX 32
enum cause http1_parse_request_line(struct span line, struct http1_head *out);

/*
 * What is known of a request that may be refused, or not have come whole, for whoever writes it down: `bytes` begins
 * with its first line. *method is a token that a space ends, HTTP1_METHOD_MAX bytes of it at most, and *target what
 * comes then, to the next space or control byte but tab; empty what there is not.
 */
void http1_request_words(struct span bytes, struct span *method, struct span *target);

/*
 * `head` as http1_scan gave it. CAUSE_NONE, or the cause to refuse it with: BAD_REQUEST, METHOD (CONNECT),
 * HEAD_TOO_LARGE (more fields than there is room for, or too many names in Connection), TRANSFER_CODING,
 * CONTENT_TOO_LARGE, EXPECTATION, VERSION. *detail then says in a few words what is wrong, a static text fit for the
 * caller ("two Content-Length fields"); RFC 9112 3, 5, 6.
 */
enum cause http1_parse_request(struct span head, struct http1_head *out, const char **detail);

/*
 * `request_method` decides the framing (HEAD, RFC 9112 6.3). CAUSE_NONE, HTTP_PROTOCOL or RESPONSE_HEAD_SIZE.
 * 1xx are parsed like others, with no content. Where method or code alone say that there is no content, framing fields
 * are no reason to refuse a response: those that can't be read make it tolerated, and so do those of a 1xx or 204.
 */
enum cause http1_parse_response(struct span head, enum http1_method request_method, struct http1_head *out,
                                const char **detail);

/*
 * As http1_scan and the above at once, where nobody has looked at the bytes before: mostly they begin with a head that
 * is whole, and sound. Then it is in *out, and *end behind it. False: it is not, and those two say what it is; *out is
 * of no meaning.
 */
bool http1_read_request(struct span bytes, struct http1_head *out, size_t *end)
    __attribute__((warn_unused_result));
/* Likewise; nor is one read that is tolerated. */
bool http1_read_response(struct span bytes, enum http1_method request_method, struct http1_head *out,
                         size_t *end) __attribute__((warn_unused_result));

/*
 * Can a response head begin with these bytes, of which http1_scan said MORE? False as soon as its start line can't be
 * one: a peer of another protocol, which greets and waits, is not waited for.
 */
bool http1_may_be_response(const struct http1_scan *scan, struct span bytes);

/*
 * The status code of a response of which `bytes` have come, its head whole or not, sound or not: 0 to 999. False: its
 * status line has not ended, or is none.
 */
bool http1_read_status(struct span bytes, uint16_t *code) __attribute__((warn_unused_result));

/* Where in a message's content we are. 16 bytes, one a direction of a call. */
struct http1_content {
    enum http1_framing framing : 8;
    uint8_t state; /* of the chunked decoder */
    bool done : 1;
    bool is_response : 1;
    bool odd : 1;      /* a response's chunk line is not as the grammar has it, though it has one reading */
    uint16_t overhead; /* bytes that chunk lines took beyond what is usual for their data */
    uint64_t left;     /* bytes left: of the content (LENGTH), or of the chunk (CHUNKED) */
};

void http1_content_init(struct http1_content *content, bool is_response, enum http1_framing framing,
                        uint64_t length);

/*
 * Takes the next piece of content off `bytes`. *used bytes are done with; *data, inside of them, is content
 * (perhaps empty). DONE: the content has ended, *used ends with it and *trailers is the trailer section
 * (field lines, no empty line; empty if there is none). MORE: call again with what follows *used, at once if
 * *used is not 0 and bytes follow, else with more of them. A chunk line is taken only when it is whole in
 * `bytes`, and so are the last chunk and the trailer section together; a section longer than
 * HTTP1_TRAILERS_MAX is BAD. Chunk extensions are checked and dropped. UNTIL_CLOSE never ends by itself: the
 * caller sees the end.
 *
 * A chunk line (RFC 9112 7.1) is at most HTTP1_CHUNK_LINE_MAX bytes long. Zeros may stand before its size, and white
 * space around the ";" of an extension. White space behind a size that no extension follows is none of the grammar's:
 * a request is BAD, a response odd.
 */
enum http1_status http1_content_next(struct http1_content *content, struct span bytes, size_t *used,
                                     struct span *data, struct span *trailers);

#define HTTP1_CHUNK_LINE_MAX 4096
#define HTTP1_TRAILERS_MAX   8192

/* Takes the next field line off a trailer section; false at the end or at a broken line (*bad says which). */
bool http1_next_trailer(struct span *rest, struct http1_field *field, bool *bad);

bool http1_is_token(struct span s);       /* RFC 9110 5.6.2 */
bool http1_is_field_value(struct span s); /* RFC 9110 5.5: no control bytes but tab */
/*
 * What a Host field may hold (RFC 9112 3.2, RFC 3986 3.2.2): nothing, or a name, an IPv4 address or an address in
 * brackets, perhaps with a port.
 */
bool http1_is_host(struct span s);

/* RFC 9110 9.2.1: changes nothing. */
bool http1_method_is_safe(enum http1_method method);
/* RFC 9110 9.2.2: may be sent again without harm. */
bool http1_method_is_idempotent(enum http1_method method);
enum http1_method http1_method_of(struct span name);

/* An interim response (RFC 9110 15.2), behind which the final one follows? Behind a 101 there is no HTTP/1.1. */
static inline bool http1_is_interim(uint16_t code)
{
    return code < 200 && code != 101;
}

/* The usual reason phrase of a status code (RFC 9110 15); "Unknown" for others. */
const char *http1_reason(uint16_t code);

#endif
