#include "support.h"

#include <arpa/nameser.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "runtime/dns.h"
#include "runtime/dns_cache.h"

/* ---- a name server on the same loop -------------------------------------------------------------------- */

struct record {
    const char *name;
    uint16_t type; /* ns_t_a, ns_t_aaaa, ns_t_cname */
    uint32_t ttl;
    const char *value;
};

static const struct record zone[] = {
    {"one.test", ns_t_a, 300, "192.0.2.1"},     {"day.test", ns_t_a, 86400, "192.0.2.2"},
    {"fleeting.test", ns_t_a, 0, "192.0.2.3"},  {"many.test", ns_t_a, 60, "192.0.2.4"},
    {"many.test", ns_t_a, 50, "192.0.2.5"},     {"many.test", ns_t_aaaa, 40, "2001:db8::1"},
    {"alias.test", ns_t_cname, 20, "one.test"},
};

enum mood { ANSWERS, IS_SILENT, FAILS, DENIES };

struct server {
    int fd;
    struct event event;
    struct loop *loop;
    char address[32];
    enum mood mood;
    unsigned queries;  /* seen */
    unsigned stop_at;  /* the loop stops at this one; 0: at none */
    unsigned to_drop;  /* unanswered */
    int drops;         /* this type is not answered; 0: none */
    bool is_odd;       /* answers first with another name, then with bytes that are no message */
    uint8_t held[512]; /* the last question that was not answered, */
    ssize_t held_len;
    struct sockaddr_in held_from; /* and who asked */
};

struct message {
    uint8_t bytes[512];
    size_t len;
};

static void put(struct message *message, const void *bytes, size_t len)
{
    assert_true(message->len + len <= sizeof(message->bytes));
    memcpy(message->bytes + message->len, bytes, len);
    message->len += len;
}

static void put_u16(struct message *message, unsigned value)
{
    put(message, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void put_u32(struct message *message, uint32_t value)
{
    put_u16(message, value >> 16);
    put_u16(message, value & 0xffff);
}

/* Names in messages, as "one.test" and as they are on the wire. */
static size_t read_name(const uint8_t *wire, char *name)
{
    size_t at = 0, len = 0;

    while (wire[at] != 0) {
        memcpy(name + len, wire + at + 1, wire[at]);
        len += wire[at];
        name[len++] = '.';
        at += wire[at] + 1u;
    }
    name[len != 0 ? len - 1 : 0] = '\0';
    return at + 1;
}

static void put_name(struct message *message, const char *name)
{
    while (*name != '\0') {
        size_t len = strcspn(name, ".");

        put(message, (uint8_t[]){(uint8_t)len}, 1);
        put(message, name, len);
        name += len + (name[len] == '.');
    }
    put(message, "", 1);
}

static void put_record(struct message *message, const struct record *record)
{
    struct message value = {.len = 0};

    if (record->type == ns_t_cname) {
        put_name(&value, record->value);
    } else {
        value.len = record->type == ns_t_a ? 4 : 16;
        inet_pton(record->type == ns_t_a ? AF_INET : AF_INET6, record->value, value.bytes);
    }
    put_name(message, record->name);
    put_u16(message, record->type);
    put_u16(message, ns_c_in);
    put_u32(message, record->ttl);
    put_u16(message, (unsigned)value.len);
    put(message, value.bytes, value.len);
}

/*
 * Records of `name` that answer a question of `type`, an alias with what it stands for. *known: there is such
 * a name.
 */
static unsigned put_records(struct message *message, const char *name, unsigned type, bool *known)
{
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++) {
        if (strcasecmp(zone[i].name, name) != 0)
            continue;
        *known = true;
        if (zone[i].type == type || zone[i].type == ns_t_cname) {
            put_record(message, &zone[i]);
            count++;
        }
        if (zone[i].type == ns_t_cname)
            count += put_records(message, zone[i].value, type, known);
    }
    return count;
}

/* Nothing is ever answered for these. */
static bool is_silent(const char *name)
{
    return strncasecmp(name, "silent", 6) == 0;
}

static void reply_to(struct server *server, const uint8_t *question, const struct sockaddr_in *from)
{
    struct message reply = {.len = 0};
    bool known = false;
    char name[256];
    size_t name_len = read_name(question + 12, name);
    unsigned count = 0;

    put(&reply, question, 12 + name_len + 4);
    if (server->mood == ANSWERS)
        count = put_records(&reply, name, question[12 + name_len + 1], &known);
    reply.bytes[2] = 0x85;                /* a reply, authoritative, recursion was desired */
    reply.bytes[3] = known ? 0x80 : 0x83; /* NXDOMAIN */
    if (server->mood == FAILS)
        reply.bytes[3] = 0x82;
    memset(reply.bytes + 6, 0, 6);
    reply.bytes[7] = (uint8_t)count;
    if (server->is_odd) {
        reply.bytes[13] ^= 1;
        (void)sendto(server->fd, reply.bytes, reply.len, 0, (const struct sockaddr *)from, sizeof(*from));
        (void)sendto(server->fd, "\1\2\3", 3, 0, (const struct sockaddr *)from, sizeof(*from));
        reply.bytes[13] ^= 1;
    }
    assert_int_equal(
        sendto(server->fd, reply.bytes, reply.len, 0, (const struct sockaddr *)from, sizeof(*from)),
        reply.len);
}

static void question_came(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t question[512];
    ssize_t got = recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &from_len);
    char name[256];
    size_t name_len;

    (void)what;
    assert_true(got > 12);
    if (++server->queries == server->stop_at)
        loop_stop(server->loop);
    name_len = read_name(question + 12, name);
    if (server->to_drop != 0) {
        server->to_drop--;
        return;
    }
    if (is_silent(name) || server->mood == IS_SILENT || server->drops == question[12 + name_len + 1]) {
        memcpy(server->held, question, sizeof(question));
        server->held_len = got;
        server->held_from = from;
        return;
    }
    reply_to(server, question, &from);
}

/* ---- the world of a test ------------------------------------------------------------------------------- */

struct world {
    struct rig rig;
    struct server server;
    struct resolver *resolver;
    struct name_policy policy;
    /* The last news. */
    char news_host[64];
    unsigned news_addresses;
    bool is_bridged;
    unsigned news;
};

struct asker {
    struct dns_query query;
    struct world *world;
    struct dns_answer *answer;
    struct dns_query *to_cancel; /* when told */
    unsigned told;
    bool stops;
};

static void heard(void *arg, const struct dns_news *news)
{
    struct world *world = arg;

    world->news++;
    snprintf(world->news_host, sizeof(world->news_host), "%s", news->host);
    world->news_addresses = news->answer != NULL ? news->answer->count : 0;
    world->is_bridged = news->is_bridged;
}

static int set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof(*world));
    struct sockaddr_in address;

    rig_init(&world->rig);
    world->server.fd = bound_socket(SOCK_DGRAM, &address);
    snprintf(world->server.address, sizeof(world->server.address), "127.0.0.1:%u", ntohs(address.sin_port));
    event_assign(&world->server.event, world->rig.loop.base, world->server.fd, EV_READ | EV_PERSIST,
                 question_came, &world->server);
    event_add(&world->server.event, NULL);
    world->server.loop = &world->rig.loop;
    world->policy = (struct name_policy){80, 3600 * NS_PER_S, 300 * NS_PER_S, NS_PER_S};
    world->resolver = resolver_new(&world->rig.loop);
    assert_non_null(world->resolver);
    resolver_on_news(world->resolver, heard, world);
    assert_int_equal(resolver_set_servers(world->resolver, world->server.address), ST_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    resolver_free(world->resolver);
    event_del(&world->server.event);
    close(world->server.fd);
    rig_fini(&world->rig);
    test_free(world);
    return 0;
}

static void told(struct dns_query *query, struct dns_answer *answer)
{
    struct asker *asker = CONTAINER_OF(query, struct asker, query);

    asker->told++;
    asker->answer = answer != NULL ? dns_answer_acquire(answer) : NULL;
    if (asker->to_cancel != NULL)
        dns_cancel(asker->to_cancel);
    if (asker->stops)
        loop_stop(&asker->world->rig.loop);
}

static enum status ask(struct world *world, struct asker *asker, const char *host)
{
    *asker = (struct asker){.world = world, .stops = true};
    dns_query_init(&asker->query);
    return dns_ask(world->resolver, host, &world->policy, &asker->query, told, &asker->answer);
}

/* Asks and waits. The answer is the caller's. */
static struct dns_answer *answer_to(struct world *world, const char *host, enum dns_result result,
                                    const char **why)
{
    struct asker asker;
    enum status status = ask(world, &asker, host);

    if (status == ST_AGAIN) {
        assert_int_equal(asker.told, 0);
        rig_run(&world->rig);
        assert_int_equal(asker.told, 1);
    } else {
        assert_int_equal(status, asker.answer != NULL ? ST_OK : ST_FAILED);
    }
    assert_int_equal(asker.query.result, result);
    if (why != NULL)
        *why = asker.query.why;
    return asker.answer;
}

static void assert_first_address(struct dns_answer *answer, const char *expected)
{
    char text[INET_ADDRSTRLEN];

    assert_non_null(answer);
    assert_int_equal(answer->addresses[0].any.sa_family, AF_INET);
    assert_int_equal(answer->addresses[0].v4.sin_port, 0);
    inet_ntop(AF_INET, &answer->addresses[0].v4.sin_addr, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void resolves_to(struct world *world, const char *host, const char *expected, enum dns_result result)
{
    struct dns_answer *answer = answer_to(world, host, result, NULL);

    assert_first_address(answer, expected);
    dns_answer_release(&answer);
}

static void resolves(struct world *world, const char *host, const char *expected)
{
    resolves_to(world, host, expected, DNS_FRESH);
}

/* At once, that is. */
static void has_answer(struct world *world, const char *host, const char *expected, enum dns_result result)
{
    struct asker asker;

    assert_int_equal(ask(world, &asker, host), ST_OK);
    assert_int_equal(asker.query.result, result);
    assert_first_address(asker.answer, expected);
    dns_answer_release(&asker.answer);
}

static void fails(struct world *world, const char *host)
{
    assert_null(answer_to(world, host, DNS_FAILED, NULL));
}

/* Two questions, A and AAAA, for each lookup. */
static unsigned lookups(const struct world *world)
{
    return world->server.queries / 2;
}

/* Until then, and the replies have been read. */
static void run_until_queries(struct world *world, unsigned count)
{
    world->server.stop_at = count;
    if (world->server.queries < count)
        rig_run(&world->rig);
    for (int turn = 0; turn < 4; turn++)
        event_base_loop(world->rig.loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    world->rig.loop.now_ns = 0;
}

/* From now on it is so much later, for what happens without the loop. */
static void pass(struct world *world, int64_t ns)
{
    world->rig.loop.now_ns = loop_now(&world->rig.loop) + ns;
    timers_run(&world->rig.loop.timers, world->rig.loop.now_ns);
}

/* ---- keeping ------------------------------------------------------------------------------------------- */

static void only_the_first_one_waits_and_the_answer_is_renewed_while_it_is_used(void **state)
{
    struct world *world = *state;

    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(lookups(world), 1);
    pass(world, 239 * NS_PER_S);
    has_answer(world, "ONE.test", "192.0.2.1", DNS_FRESH);
    pass(world, 2 * NS_PER_S);
    has_answer(world, "one.test", "192.0.2.1", DNS_FRESH);
    run_until_queries(world, 4);
    assert_int_equal(lookups(world), 2);
}

static void a_name_that_nobody_uses_is_renewed_once_and_no_more(void **state)
{
    struct world *world = *state;

    resolves(world, "one.test", "192.0.2.1");
    pass(world, 241 * NS_PER_S); /* it has been used since it was looked up: by the one who waited */
    run_until_queries(world, 4);
    assert_int_equal(lookups(world), 2);
    pass(world, 3000 * NS_PER_S);
    pass(world, 3000 * NS_PER_S);
    resolves(world, "day.test", "192.0.2.2");
    assert_int_equal(lookups(world), 3);
}

static void a_ttl_of_a_day_counts_as_an_hour(void **state)
{
    struct world *world = *state;

    resolves(world, "day.test", "192.0.2.2");
    pass(world, 2879 * NS_PER_S);
    has_answer(world, "day.test", "192.0.2.2", DNS_FRESH);
    pass(world, 2 * NS_PER_S);
    run_until_queries(world, 4);
}

static void the_ttl_of_an_alias_counts_too(void **state)
{
    struct world *world = *state;

    resolves(world, "alias.test", "192.0.2.1");
    pass(world, 15 * NS_PER_S);
    has_answer(world, "alias.test", "192.0.2.1", DNS_FRESH);
    pass(world, 2 * NS_PER_S);
    run_until_queries(world, 4);
}

static void doubt_has_an_answer_looked_up_anew_at_most_once_a_second(void **state)
{
    struct world *world = *state;

    dns_doubt(world->resolver, "one.test");
    resolves(world, "one.test", "192.0.2.1");
    dns_doubt(world->resolver, "one.test");
    has_answer(world, "one.test", "192.0.2.1", DNS_FRESH);
    pass(world, NS_PER_S);
    dns_doubt(world->resolver, "ONE.test");
    dns_doubt(world->resolver, "one.test");
    has_answer(world, "one.test", "192.0.2.1", DNS_FRESH);
    run_until_queries(world, 4);
    assert_int_equal(lookups(world), 2);
}

static void a_renewed_resolver_looks_names_up_anew(void **state)
{
    struct world *world = *state;
    struct asker asker;

    resolves(world, "one.test", "192.0.2.1");
    resolver_renew(world->resolver);
    assert_int_equal(ask(world, &asker, "one.test"), ST_AGAIN);
    resolver_renew(world->resolver); /* in the middle: it begins anew */
    rig_run(&world->rig);
    assert_int_equal(asker.query.result, DNS_FRESH);
    dns_answer_release(&asker.answer);
    has_answer(world, "one.test", "192.0.2.1", DNS_FRESH);
}

/* ---- DNS fails ----------------------------------------------------------------------------------------- */

static void the_last_good_answer_is_used_while_dns_fails(void **state)
{
    struct world *world = *state;
    struct asker asker;

    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(world->news_addresses, 1);
    world->server.mood = FAILS;
    pass(world, 302 * NS_PER_S);
    resolves_to(world, "one.test", "192.0.2.1", DNS_STALE);
    assert_string_equal(world->news_host, "one.test");
    assert_int_equal(world->news_addresses, 0);
    assert_true(world->is_bridged);
    pass(world, 3899 * NS_PER_S);
    has_answer(world, "one.test", "192.0.2.1", DNS_STALE);
    world->rig.loop.now_ns = 0;
    pass(world, 3901 * NS_PER_S);
    assert_int_equal(ask(world, &asker, "one.test"), ST_AGAIN);
    dns_cancel(&asker.query);
}

static void a_name_that_is_denied_is_used_for_five_minutes_more(void **state)
{
    struct world *world = *state;
    struct asker asker;

    resolves(world, "one.test", "192.0.2.1");
    world->server.mood = DENIES;
    pass(world, 302 * NS_PER_S);
    resolves_to(world, "one.test", "192.0.2.1", DNS_STALE);
    pass(world, 599 * NS_PER_S);
    has_answer(world, "one.test", "192.0.2.1", DNS_STALE);
    world->rig.loop.now_ns = 0;
    pass(world, 601 * NS_PER_S);
    assert_int_equal(ask(world, &asker, "one.test"), ST_AGAIN);
    dns_cancel(&asker.query);
}

static void a_silent_server_costs_a_moment_where_there_is_an_old_answer(void **state)
{
    struct world *world = *state;
    int64_t began_ns;

    resolves(world, "one.test", "192.0.2.1");
    world->server.mood = IS_SILENT;
    resolver_renew(world->resolver);
    began_ns = loop_clock_ns();
    resolves_to(world, "one.test", "192.0.2.1", DNS_STALE);
    assert_in_range(loop_clock_ns() - began_ns, 990 * NS_PER_MS, 1500 * NS_PER_MS);
    has_answer(world, "one.test", "192.0.2.1", DNS_STALE); /* the same lookup has had its moment */
}

static void an_error_is_kept_for_a_second_once_it_has_come_twice(void **state)
{
    struct world *world = *state;
    struct asker asker;
    const char *why = NULL;
    unsigned queries;

    assert_null(answer_to(world, "missing.test.", DNS_FAILED, &why));
    assert_string_equal(why, "there is no such name");
    queries = world->server.queries;
    assert_null(answer_to(world, "missing.test.", DNS_FAILED, &why));
    assert_int_equal(world->server.queries, 2 * queries);
    assert_int_equal(ask(world, &asker, "missing.test."), ST_FAILED);
    assert_string_equal(asker.query.why, "there is no such name");
    pass(world, 2 * NS_PER_S);
    fails(world, "missing.test.");
    assert_int_equal(world->server.queries, 3 * queries);
}

static void a_ttl_of_0_is_used_once_after_a_failure_and_kept_otherwise(void **state)
{
    struct world *world = *state;

    world->server.mood = FAILS;
    fails(world, "fleeting.test");
    world->server.mood = ANSWERS;
    resolves(world, "fleeting.test", "192.0.2.3");
    world->server.mood = FAILS;
    fails(world, "fleeting.test");
    pass(world, 2 * NS_PER_S);
    world->server.mood = ANSWERS;
    resolves(world, "fleeting.test", "192.0.2.3");
    world->rig.loop.now_ns = 0;
    resolves(world, "fleeting.test", "192.0.2.3");
    has_answer(world, "fleeting.test", "192.0.2.3", DNS_FRESH);
}

/* ---- servers ------------------------------------------------------------------------------------------- */

static void a_refusing_server_costs_nothing_and_a_silent_one_300_ms(void **state)
{
    struct world *world = *state;
    struct sockaddr_in address;
    int other = bound_socket(SOCK_DGRAM, &address);
    char servers[64];
    int64_t began_ns = loop_clock_ns();

    snprintf(servers, sizeof(servers), "127.0.0.1:%u,%s", ntohs(address.sin_port), world->server.address);
    assert_int_equal(resolver_set_servers(world->resolver, servers), ST_OK);
    resolves(world, "one.test", "192.0.2.1");
    assert_in_range(loop_clock_ns() - began_ns, 290 * NS_PER_MS, 900 * NS_PER_MS);
    close(other);
    began_ns = loop_clock_ns();
    resolves(world, "day.test", "192.0.2.2");
    assert_true(loop_clock_ns() - began_ns < 250 * NS_PER_MS);
}

static void an_answer_to_another_question_and_garbage_are_passed_over(void **state)
{
    struct world *world = *state;

    world->server.is_odd = true;
    resolves(world, "one.test", "192.0.2.1");
}

static void one_family_does_not_wait_for_the_other_and_the_late_one_joins(void **state)
{
    struct world *world = *state;
    struct asker asker;
    int64_t began_ns = loop_clock_ns();
    struct dns_answer *answer;

    world->server.drops = ns_t_aaaa;
    answer = answer_to(world, "many.test", DNS_FRESH, NULL);
    assert_in_range(loop_clock_ns() - began_ns, 45 * NS_PER_MS, 280 * NS_PER_MS);
    assert_int_equal(answer->count, 2);
    dns_answer_release(&answer);
    assert_int_equal(world->news, 0);
    reply_to(&world->server, world->server.held, &world->server.held_from);
    while (world->news == 0)
        event_base_loop(world->rig.loop.base, EVLOOP_ONCE);
    assert_int_equal(world->news_addresses, 3);
    assert_int_equal(ask(world, &asker, "many.test"), ST_OK);
    assert_int_equal(asker.answer->count, 3);
    dns_answer_release(&asker.answer);
}

static void ipv6_alone_does_not_wait_for_ipv4(void **state)
{
    struct world *world = *state;
    struct dns_answer *answer;

    world->server.drops = ns_t_a;
    answer = answer_to(world, "many.test", DNS_FRESH, NULL);
    assert_int_equal(answer->count, 1);
    assert_int_equal(answer->addresses[0].any.sa_family, AF_INET6);
    dns_answer_release(&answer);
}

static void a_lookup_outlives_those_who_asked(void **state)
{
    struct world *world = *state;
    struct asker asker;

    world->server.drops = ns_t_a;
    assert_int_equal(ask(world, &asker, "one.test"), ST_AGAIN);
    run_until_queries(world, 2);
    dns_cancel(&asker.query);
    dns_cancel(&asker.query);
    reply_to(&world->server, world->server.held, &world->server.held_from);
    while (world->news == 0)
        event_base_loop(world->rig.loop.base, EVLOOP_ONCE);
    assert_int_equal(asker.told, 0);
    has_answer(world, "one.test", "192.0.2.1", DNS_FRESH);
}

static void who_asks_later_has_the_question_put_once_more(void **state)
{
    struct world *world = *state;
    struct asker first, second;

    assert_int_equal(ask(world, &first, "silent.test"), ST_AGAIN);
    run_until_queries(world, 2);
    pass(world, 1100 * NS_PER_MS);
    assert_int_equal(ask(world, &second, "silent.test"), ST_AGAIN);
    run_until_queries(world, 4);
    dns_cancel(&first.query);
    dns_cancel(&second.query);
}

static void without_descriptors_it_is_nobodys_fault_and_nothing_stays_spoilt(void **state)
{
    struct world *world = *state;
    struct asker asker;
    struct rlimit limit, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(ask(world, &asker, "one.test"), ST_FAILED);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(asker.query.result, DNS_SHORTAGE);
        assert_string_equal(asker.query.why, "Too many open files");
        resolves(world, "day.test", "192.0.2.2"); /* the system's files are read now */
    }
    assert_int_equal(world->news, 1);
    resolves(world, "one.test", "192.0.2.1");
}

/* ---- sharing ------------------------------------------------------------------------------------------- */

static void a_lookup_under_way_is_shared(void **state)
{
    struct world *world = *state;
    struct asker first, second;

    assert_int_equal(ask(world, &first, "one.test"), ST_AGAIN);
    assert_int_equal(ask(world, &second, "One.test"), ST_AGAIN);
    rig_run(&world->rig);
    assert_int_equal(first.told, 1);
    assert_int_equal(second.told, 1);
    assert_ptr_equal(first.answer, second.answer);
    assert_int_equal(lookups(world), 1);
    dns_answer_release(&first.answer);
    dns_answer_release(&second.answer);
}

static void all_addresses_of_both_families_are_there(void **state)
{
    struct world *world = *state;
    struct dns_answer *answer = answer_to(world, "many.test", DNS_FRESH, NULL);
    unsigned v4 = 0, v6 = 0;

    assert_non_null(answer);
    for (uint32_t i = 0; i < answer->count; i++) {
        v4 += answer->addresses[i].any.sa_family == AF_INET;
        v6 += answer->addresses[i].any.sa_family == AF_INET6;
    }
    assert_int_equal(v4, 2);
    assert_int_equal(v6, 1);
    dns_answer_release(&answer);
}

static void a_name_that_can_be_no_name_fails_at_once(void **state)
{
    struct world *world = *state;
    struct asker asker;
    char host[] = "a-label-of-more-than-63-bytes-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test";

    assert_int_equal(ask(world, &asker, host), ST_FAILED);
    assert_int_equal(asker.query.result, DNS_FAILED);
    assert_non_null(asker.query.why);
    assert_int_equal(ask(world, &asker, "a..test"), ST_FAILED);
    assert_int_equal(world->server.queries, 0);
}

static void a_lost_packet_is_sent_again(void **state)
{
    struct world *world = *state;

    world->server.to_drop = 1;
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(world->server.queries, 3);
}

static void one_who_leaves_does_not_disturb_the_others(void **state)
{
    struct world *world = *state;
    struct asker leaves, stays;

    assert_int_equal(ask(world, &leaves, "one.test"), ST_AGAIN);
    assert_int_equal(ask(world, &stays, "one.test"), ST_AGAIN);
    dns_cancel(&leaves.query);
    rig_run(&world->rig);
    assert_int_equal(leaves.told, 0);
    assert_int_equal(stays.told, 1);
    dns_answer_release(&stays.answer);
}

static void a_waiter_may_take_another_one_out_while_it_is_told(void **state)
{
    struct world *world = *state;
    struct asker first, second;

    assert_int_equal(ask(world, &first, "one.test"), ST_AGAIN);
    assert_int_equal(ask(world, &second, "one.test"), ST_AGAIN);
    first.to_cancel = &second.query;
    rig_run(&world->rig);
    assert_int_equal(first.told, 1);
    assert_int_equal(second.told, 0);
    dns_answer_release(&first.answer);
}

static void many_lookups_at_once_have_a_channel_each(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    struct asker silent[8], one;
    char host[8][32];

    for (int i = 0; i < 8; i++) {
        snprintf(host[i], sizeof(host[i]), "silent-%d.test", i);
        assert_int_equal(ask(world, &silent[i], host[i]), ST_AGAIN);
    }
    assert_int_equal(ask(world, &one, "one.test"), ST_AGAIN);
    rig_run(&world->rig);
    assert_first_address(one.answer, "192.0.2.1");
    dns_answer_release(&one.answer);
    for (int i = 0; i < 8; i++)
        dns_cancel(&silent[i].query);
    resolver_free(world->resolver);
    assert_int_equal(open_descriptors(), before);
    world->resolver = resolver_new(&world->rig.loop);
    assert_non_null(world->resolver);
}

static void a_resolver_may_go_with_a_lookup_under_way(void **state)
{
    struct world *world = *state;
    struct asker asker;
    int before = open_descriptors();

    assert_int_equal(ask(world, &asker, "silent.test"), ST_AGAIN);
    resolver_free(world->resolver);
    assert_int_equal(open_descriptors(), before);
    dns_cancel(&asker.query);
    world->resolver = resolver_new(&world->rig.loop);
    assert_non_null(world->resolver);
}

static void localhost_is_loopback_and_asks_nobody(void **state)
{
    struct world *world = *state;
    const char *names[] = {"localhost", "LocalHost.", "api.localhost"};

    for (int i = 0; i < 3; i++) {
        struct asker asker;

        assert_int_equal(ask(world, &asker, names[i]), ST_OK);
        assert_first_address(asker.answer, "127.0.0.1");
        assert_int_equal(asker.answer->count, 2);
        assert_true(IN6_IS_ADDR_LOOPBACK(&asker.answer->addresses[1].v6.sin6_addr));
        dns_answer_release(&asker.answer);
    }
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(lookups(world), 1);
}

/*
 * A file of our own in the place of /etc/hosts, for this process. 0, or the number of the step that failed.
 */
static int use_hosts_file(const char *text)
{
    char path[] = "/tmp/curfew-test-hosts-XXXXXX";
    int fd = mkstemp(path);
    bool done;

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return 1;
    close(fd);
    done = (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(path, "/etc/hosts", NULL, MS_BIND, NULL) == 0;
    unlink(path);
    return done ? 0 : 1;
}

enum { HOSTS_OK, HOSTS_NOT_POSSIBLE, HOSTS_WRONG };

static int ask_hosts_file(struct world *world)
{
    struct asker asker;

    if (use_hosts_file("192.0.2.77 inhosts.test\n") != 0)
        return HOSTS_NOT_POSSIBLE;
    for (int i = 0; i < 2; i++) {
        if (ask(world, &asker, "inhosts.test") != ST_OK || asker.answer->count != 1 ||
            asker.answer->addresses[0].v4.sin_addr.s_addr != inet_addr("192.0.2.77"))
            return HOSTS_WRONG;
        dns_answer_release(&asker.answer);
    }
    return world->server.queries == 0 ? HOSTS_OK : HOSTS_WRONG;
}

static void the_hosts_file_comes_first(void **state)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(ask_hosts_file(*state));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == HOSTS_NOT_POSSIBLE)
        skip();
    assert_int_equal(WEXITSTATUS(status), HOSTS_OK);
}

static bool fail_nth(void *arg, size_t size)
{
    int *left = arg;

    return --*left == 0;
}

static void without_memory_the_question_fails_and_nothing_else(void **state)
{
    struct world *world = *state;
    struct asker asker;
    int nth = 0, left;
    enum status status;

    do {
        left = ++nth;
        mem_set_fault(fail_nth, &left);
        status = ask(world, &asker, "one.test");
        if (status == ST_AGAIN) {
            rig_run(&world->rig);
            assert_int_equal(asker.told, 1);
        }
        mem_set_fault(NULL, NULL);
        assert_true(asker.answer != NULL || asker.query.result == DNS_SHORTAGE);
        assert_true(nth < 20);
        dns_answer_release(&asker.answer);
    } while (left <= 0);
    assert_true(nth > 4);
    has_answer(world, "one.test", "192.0.2.1", DNS_FRESH);
}

static void the_cache_is_bounded_and_lets_the_least_used_go(void **state)
{
    struct dns_cache cache;
    struct dns_answer *answer = dns_answer_new(&(struct ip){{[15] = 1}}, 1);
    char host[32];

    assert_non_null(answer);
    dns_cache_init(&cache);
    for (unsigned i = 0; i < DNS_CACHE_MAX + 10; i++) {
        snprintf(host, sizeof(host), "host-%u", i);
        dns_entry_set(dns_cache_get(&cache, host), answer);
        assert_non_null(dns_cache_find(&cache, "host-0"));
    }
    assert_int_equal(cache.count, DNS_CACHE_MAX);
    assert_int_equal(answer->references, DNS_CACHE_MAX + 1);
    assert_null(dns_cache_find(&cache, "host-10"));
    assert_ptr_equal(dns_cache_find(&cache, "HOST-11"), dns_cache_get(&cache, "host-11"));
    dns_entry_set(dns_cache_find(&cache, "host-11"), NULL);
    assert_int_equal(answer->references, DNS_CACHE_MAX);
    dns_cache_fini(&cache);
    assert_int_equal(answer->references, 1);
    dns_answer_release(&answer);
    assert_null(answer);
}

int main(void)
{
#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(only_the_first_one_waits_and_the_answer_is_renewed_while_it_is_used),
        WORLD_TEST(a_name_that_nobody_uses_is_renewed_once_and_no_more),
        WORLD_TEST(a_ttl_of_a_day_counts_as_an_hour),
        WORLD_TEST(the_ttl_of_an_alias_counts_too),
        WORLD_TEST(doubt_has_an_answer_looked_up_anew_at_most_once_a_second),
        WORLD_TEST(a_renewed_resolver_looks_names_up_anew),
        WORLD_TEST(the_last_good_answer_is_used_while_dns_fails),
        WORLD_TEST(a_name_that_is_denied_is_used_for_five_minutes_more),
        WORLD_TEST(a_silent_server_costs_a_moment_where_there_is_an_old_answer),
        WORLD_TEST(an_error_is_kept_for_a_second_once_it_has_come_twice),
        WORLD_TEST(a_ttl_of_0_is_used_once_after_a_failure_and_kept_otherwise),
        WORLD_TEST(a_refusing_server_costs_nothing_and_a_silent_one_300_ms),
        WORLD_TEST(an_answer_to_another_question_and_garbage_are_passed_over),
        WORLD_TEST(one_family_does_not_wait_for_the_other_and_the_late_one_joins),
        WORLD_TEST(ipv6_alone_does_not_wait_for_ipv4),
        WORLD_TEST(a_lookup_outlives_those_who_asked),
        WORLD_TEST(who_asks_later_has_the_question_put_once_more),
        WORLD_TEST(without_descriptors_it_is_nobodys_fault_and_nothing_stays_spoilt),
        WORLD_TEST(a_lookup_under_way_is_shared),
        WORLD_TEST(all_addresses_of_both_families_are_there),
        WORLD_TEST(a_name_that_can_be_no_name_fails_at_once),
        WORLD_TEST(a_lost_packet_is_sent_again),
        WORLD_TEST(one_who_leaves_does_not_disturb_the_others),
        WORLD_TEST(a_waiter_may_take_another_one_out_while_it_is_told),
        WORLD_TEST(many_lookups_at_once_have_a_channel_each),
        WORLD_TEST(a_resolver_may_go_with_a_lookup_under_way),
        WORLD_TEST(localhost_is_loopback_and_asks_nobody),
        WORLD_TEST(the_hosts_file_comes_first),
        WORLD_TEST(without_memory_the_question_fails_and_nothing_else),
        cmocka_unit_test(the_cache_is_bounded_and_lets_the_least_used_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
