#ifndef CURFEW_HTTP_OUTGOING_H
#define CURFEW_HTTP_OUTGOING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slab.h"
#include "base/span.h"
#include "http/http1.h"

struct forward_rules;

/*
 * A request as it is sent on, in one block: it may have to wait for a permit, or to be sent twice. HTTP/1.1 sends it as
 * it stands, another version its parts. What of the caller's request is not in it, and has to be known as long, stands
 * behind it.
 *
 *   | method, target, version, field lines | room for a line more, and the end | caller's target | its host | kept |
 *   0                                      len                                 cap                                size
 *
 * Of a request that is refused, only the method and the target are kept, as far as they are known. One thread.
 */
struct outgoing {
    char *bytes; /* NULL: nothing is known */
    uint32_t len, cap, size;
    uint32_t target_at, target_len;
    uint16_t host_len;
    uint16_t told_len; /* of the field lines that outgoing_tell has put at the end of `len` */
    uint8_t method_len;
    enum http1_method method : 8;
    enum http1_framing framing : 8; /* of the content */
    uint32_t kept_len;
};

/* Longer targets are cut where a call is told of: a line of the log is bounded. */
#define OUTGOING_TARGET_MAX 2048u
/* Of the caller's hosts, none is longer: a name with its port, RFC 1035 2.3.4. */
#define OUTGOING_HOST_MAX   261u

/*
 * `text` is `head` as forward_request_head has written it by these rules, `room` the most bytes that name and value of
 * the field may have that outgoing_close gets. The host is kept if responses are to lead there, and so are the bytes of
 * `kept`. False: no memory.
 */
bool outgoing_init(struct outgoing *outgoing, struct slab *slab, struct span text,
                   const struct http1_head *head, const struct forward_rules *rules, uint32_t room,
                   struct span kept) __attribute__((warn_unused_result));

/* The same once more: what both send from now on is their own. False: no memory. */
bool outgoing_copy(struct outgoing *to, struct slab *slab, const struct outgoing *from)
    __attribute__((warn_unused_result));

/* Of a request that is refused. Without memory nothing is known of it. */
void outgoing_note(struct outgoing *outgoing, struct slab *slab, struct span method, struct span target);

void outgoing_fini(struct outgoing *outgoing, struct slab *slab);

/* As the caller sent them; empty: not known. */
struct span outgoing_method(const struct outgoing *outgoing);
struct span outgoing_target(const struct outgoing *outgoing);
struct span outgoing_host(const struct outgoing *outgoing);
/* What outgoing_init was given to keep. */
struct span outgoing_kept(const struct outgoing *outgoing);

/* Has it a field of this name, as it is sent on? Of a request that is refused it is not known: false. */
bool outgoing_has_field(const struct outgoing *outgoing, struct span name);

/*
 * A field that each sending from now on has, until outgoing_untell. To be reckoned in as room at outgoing_init: name,
 * value and OUTGOING_FIELD_ROOM.
 */
#define OUTGOING_FIELD_ROOM 4u
void outgoing_tell(struct outgoing *outgoing, struct span name, struct span value);
void outgoing_untell(struct outgoing *outgoing);

/* The whole head as HTTP/1.1 sends it, with a field that only this sending has; its name is empty: none. */
struct span outgoing_close(struct outgoing *outgoing, struct span name, struct span value);

#endif
