#include "admin/upstreams.h"

#include <arpa/inet.h>
#include <string.h>

#include "admin/respond.h"
#include "runtime/address_book.h"
#include "runtime/circuit.h"
#include "runtime/loop.h"

static void put_breaker(struct jsonw *json, const struct route_config *route, const struct circuit_news *news)
{
    jsonw_open_object(json, NULL);
    jsonw_text(json, "route", route->name);
    jsonw_text(json, "state", breaker_state_name(news->state));
    jsonw_u64(json, "opens_in_ms", (uint64_t)((news->left_ns + NS_PER_MS - 1) / NS_PER_MS));
    jsonw_text(json, "reason", news->has_opened ? breaker_reason_name(news->reason) : NULL);
    jsonw_close_object(json);
}

/* IPv4 is mapped into IPv6. */
static void put_address(struct jsonw *json, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char block[INET6_ADDRSTRLEN] = "";
    bool is_v4 = memcmp(ip, mapped, sizeof(mapped)) == 0;

    (void)inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? ip + 12 : ip, block, sizeof(block));
    jsonw_text(json, NULL, block);
}

static void put_addresses(struct jsonw *json, struct address_book *book, const struct origin *origin)
{
    struct address_states states = address_book_states(book, origin);

    if (origin->eject.failures == 0) {
        jsonw_null(json, "addresses");
        return;
    }
    jsonw_open_object(json, "addresses");
    jsonw_u64(json, "up", states.of[ADDRESS_UP]);
    for (enum ejection_state state = ADDRESS_OUT; state < EJECTION_STATE_COUNT; state++) {
        enum ejection_state its;
        uint8_t ip[16];

        jsonw_open_array(json, ejection_state_name(state));
        for (uint32_t i = 0; (its = address_book_look(book, origin, i, ip)) != ADDRESS_UP; i++)
            if (its == state)
                put_address(json, ip);
        jsonw_close_array(json);
    }
    jsonw_close_object(json);
}

static void put_upstream(struct jsonw *json, struct proxy *proxy, const struct upstream_config *upstream)
{
    char block[UPSTREAM_ORIGIN_MAX];
    struct text origin = text_over(block, sizeof(block));

    upstream_put_origin(&origin, upstream);
    jsonw_open_object(json, NULL);
    jsonw_text(json, "name", upstream->name);
    if (upstream->forward != NULL) /* its callers say where */
        jsonw_null(json, "url");
    else
        jsonw_joined(json, "url", (const struct span[]){text_span(&origin), upstream->rules.base_path}, 2);
    jsonw_open_array(json, "breakers");
    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        /* The default route, which is behind all others, is told of first. */
        const struct route_config *route =
            snapshot_route(upstream, (id + upstream->route_count) % (upstream->route_count + 1));
        struct circuit_news news;

        if (!route_owns_circuit(route))
            continue;
        news = circuit_look(proxy->circuits[route->circuit], loop_clock_ns());
        put_breaker(json, route, &news);
    }
    jsonw_close_array(json);
    put_addresses(json, &proxy->address_book, upstream_dialled(upstream));
    jsonw_close_object(json);
}

void upstreams_respond(struct admin_request *request, struct proxy *proxy)
{
    const struct snapshot *snapshot = proxy_snapshot(proxy);
    struct json_answer answer;
    struct jsonw *json = json_answer_begin(&answer);

    jsonw_open_array(json, "upstreams");
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        put_upstream(json, proxy, &snapshot->upstreams[i]);
    jsonw_close_array(json);
    json_answer_send(&answer, request, 500);
}
