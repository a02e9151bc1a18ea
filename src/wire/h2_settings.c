#include "wire/h2_settings.h"

#include <string.h>

#include "base/invariant.h"

/*
 * So many streams beyond what they are allowed callers may begin before they have our refusals: more than that is no
 * mistake, and more frames than that do not wait for a caller.
 */
#define BEYOND 1000u
#define HEAD   9u
#define ENTRY  6u

static uint32_t raised(uint32_t streams)
{
    return streams < UINT32_MAX - BEYOND ? streams + BEYOND : streams;
}

bool h2_settings_submit(nghttp2_session *nghttp2, const struct h2_terms *terms)
{
    bool serves = terms->side == H2_SERVER;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, terms->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, terms->head_max},
        {serves ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         serves ? raised(terms->max_streams) : 0},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    int32_t window = terms->window > (1 << 20) ? (int32_t)terms->window : 1 << 20;

    return nghttp2_submit_settings(nghttp2, NGHTTP2_FLAG_NONE, entries, terms->tunnels ? 4 : 3) == 0 &&
           nghttp2_session_set_local_window_size(nghttp2, NGHTTP2_FLAG_NONE, 0, window) == 0;
}

int h2_settings_renew(nghttp2_session *nghttp2, uint32_t max_streams, bool tunnels)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, raised(max_streams)},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };

    return nghttp2_submit_settings(nghttp2, NGHTTP2_FLAG_NONE, entries, tunnels ? 2 : 1);
}

const uint8_t *h2_settings_told(const uint8_t *frame, size_t len, uint32_t max_streams,
                                uint8_t copy[H2_SETTINGS_MAX])
{
    if (len <= HEAD || frame[3] != NGHTTP2_SETTINGS)
        return frame;
    MUST_HOLD(len <= H2_SETTINGS_MAX);
    memcpy(copy, frame, len);
    for (size_t at = HEAD; at + ENTRY <= len; at += ENTRY) {
        if (copy[at] != 0 || copy[at + 1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            continue;
        for (size_t i = 0; i < 4; i++)
            copy[at + 2 + i] = (uint8_t)(max_streams >> (24 - 8 * i));
    }
    return copy;
}
