#include "wire/h2_settings.h"

#include "base/invariant.h"

/*
 * So many streams beyond what they are allowed callers may begin before they have our refusals: more than that is no
 * mistake, and more frames than that do not wait for a caller.
 */
#define BEYOND 1000u
#define HEAD   9u

static uint32_t raised(uint32_t streams)
{
    return streams < UINT32_MAX - BEYOND ? streams + BEYOND : streams;
}

/* The frame as the peer is to have it. */
static void write_frame(struct h2_settings *said, const nghttp2_settings_entry *entries, size_t count)
{
    ssize_t len =
        nghttp2_pack_settings_payload(said->frame + HEAD, sizeof(said->frame) - HEAD, entries, count);

    POST(len > 0 && len <= UINT8_MAX - (ssize_t)HEAD);
    said->frame[2] = (uint8_t)len;
    said->frame[3] = NGHTTP2_SETTINGS;
    said->len = (uint8_t)(HEAD + (size_t)len);
}

bool h2_settings_submit(nghttp2_session *nghttp2, const struct h2_terms *terms, struct h2_settings *said)
{
    bool serves = terms->side == H2_SERVER;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, terms->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, terms->head_max},
        {serves ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         serves ? terms->max_streams : 0},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    int32_t window = terms->window > (1 << 20) ? (int32_t)terms->window : 1 << 20;
    size_t count = terms->tunnels ? 4 : 3;

    *said = (struct h2_settings){0};
    if (serves) {
        write_frame(said, entries, count);
        entries[2].value = raised(terms->max_streams);
    }
    return nghttp2_submit_settings(nghttp2, NGHTTP2_FLAG_NONE, entries, count) == 0 &&
           nghttp2_session_set_local_window_size(nghttp2, NGHTTP2_FLAG_NONE, 0, window) == 0;
}
