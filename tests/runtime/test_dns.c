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

struct server {
    int fd;
    struct event event;
    char address[32];
    unsigned queries; /* seen */
    unsigned to_drop; /* unanswered */
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

static void question_came(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t question[512];
    ssize_t got = recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &from_len);
    struct message reply = {.len = 0};
    bool known = false;
    char name[256];
    size_t name_len;
    unsigned count;

    assert_true(got > 12);
    server->queries++;
    name_len = read_name(question + 12, name);
    if (server->to_drop != 0) {
        server->to_drop--;
        return;
    }
    if (is_silent(name))
        return;
    put(&reply, question, 12 + name_len + 4);
    count = put_records(&reply, name, question[12 + name_len + 1], &known);
    reply.bytes[2] = 0x85;                /* a reply, authoritative, recursion was desired */
    reply.bytes[3] = known ? 0x80 : 0x83; /* NXDOMAIN */
    memset(reply.bytes + 6, 0, 6);
    reply.bytes[7] = (uint8_t)count;
    assert_int_equal(sendto(fd, reply.bytes, reply.len, 0, (struct sockaddr *)&from, from_len), reply.len);
}

/* ---- the world of a test ------------------------------------------------------------------------------- */

struct world {
    struct rig rig;
    struct server server;
    struct resolver *resolver;
};

struct asker {
    struct dns_query query;
    struct world *world;
    struct dns_answer *answer;
    struct dns_query *to_cancel; /* when told */
    const char *why;
    unsigned told;
    bool stops;
};

static int set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof(*world));
    struct sockaddr_in address;

    rig_init(&world->rig);
    world->server.fd = bound_socket(SOCK_DGRAM, &address);
    snprintf(world->server.address, sizeof(world->server.address), "127.0.0.1:%u", ntohs(address.sin_port));
    event_assign(&world->server.event, world->rig.worker.base, world->server.fd, EV_READ | EV_PERSIST,
                 question_came, &world->server);
    event_add(&world->server.event, NULL);
    world->resolver = resolver_new(&world->rig.worker);
    assert_non_null(world->resolver);
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

static void told(struct dns_query *query, struct dns_answer *answer, const char *why)
{
    struct asker *asker = CONTAINER_OF(query, struct asker, query);

    asker->told++;
    asker->why = why;
    asker->answer = answer != NULL ? dns_answer_acquire(answer) : NULL;
    if (asker->to_cancel != NULL)
        dns_cancel(asker->to_cancel);
    if (asker->stops)
        worker_stop(&asker->world->rig.worker);
}

static enum status ask(struct world *world, struct asker *asker, const char *host)
{
    *asker = (struct asker){.world = world, .stops = true};
    dns_query_init(&asker->query);
    return dns_ask(world->resolver, host, &asker->query, told, &asker->answer);
}

/* Asks and waits. */
static struct dns_answer *answer_to(struct world *world, const char *host, const char **why)
{
    struct asker asker;
    enum status status = ask(world, &asker, host);

    if (status == ST_AGAIN) {
        assert_int_equal(asker.told, 0);
        rig_run(&world->rig);
        assert_int_equal(asker.told, 1);
    } else {
        assert_int_equal(status, ST_OK);
    }
    if (why != NULL)
        *why = asker.why;
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

static void resolves(struct world *world, const char *host, const char *expected)
{
    struct dns_answer *answer = answer_to(world, host, NULL);

    assert_first_address(answer, expected);
    dns_answer_release(&answer);
}

/* Two questions, A and AAAA, for each lookup. */
static unsigned lookups(const struct world *world)
{
    return world->server.queries / 2;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void an_answer_is_kept_for_its_ttl(void **state)
{
    struct world *world = *state;
    int64_t now_ns;

    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(lookups(world), 1);
    now_ns = worker_now(&world->rig.worker);
    world->rig.worker.now_ns = now_ns + 299 * NS_PER_S;
    resolves(world, "ONE.test", "192.0.2.1");
    assert_int_equal(lookups(world), 1);
    world->rig.worker.now_ns = now_ns + 301 * NS_PER_S;
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(lookups(world), 2);
}

static void no_answer_is_kept_for_more_than_an_hour(void **state)
{
    struct world *world = *state;
    int64_t now_ns;

    resolves(world, "day.test", "192.0.2.2");
    now_ns = worker_now(&world->rig.worker);
    world->rig.worker.now_ns = now_ns + 3599 * NS_PER_S;
    resolves(world, "day.test", "192.0.2.2");
    assert_int_equal(lookups(world), 1);
    world->rig.worker.now_ns = now_ns + 3601 * NS_PER_S;
    resolves(world, "day.test", "192.0.2.2");
    assert_int_equal(lookups(world), 2);
}

static void doubt_has_an_answer_looked_up_anew_at_most_once_a_second(void **state)
{
    struct world *world = *state;

    dns_doubt(world->resolver, "one.test");
    resolves(world, "one.test", "192.0.2.1");
    dns_doubt(world->resolver, "one.test");
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(lookups(world), 1);
    world->rig.worker.now_ns = worker_now(&world->rig.worker) + NS_PER_S;
    dns_doubt(world->resolver, "ONE.test");
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(lookups(world), 2);
}

static void the_ttl_of_an_alias_counts_too(void **state)
{
    struct world *world = *state;
    int64_t now_ns;

    resolves(world, "alias.test", "192.0.2.1");
    now_ns = worker_now(&world->rig.worker);
    world->rig.worker.now_ns = now_ns + 19 * NS_PER_S;
    resolves(world, "alias.test", "192.0.2.1");
    assert_int_equal(lookups(world), 1);
    world->rig.worker.now_ns = now_ns + 21 * NS_PER_S;
    resolves(world, "alias.test", "192.0.2.1");
    assert_int_equal(lookups(world), 2);
}

static void a_lookup_under_way_is_shared_and_without_ttl_not_kept(void **state)
{
    struct world *world = *state;
    struct asker first, second;

    assert_int_equal(ask(world, &first, "fleeting.test"), ST_AGAIN);
    assert_int_equal(ask(world, &second, "Fleeting.test"), ST_AGAIN);
    rig_run(&world->rig);
    assert_int_equal(first.told, 1);
    assert_int_equal(second.told, 1);
    assert_ptr_equal(first.answer, second.answer);
    assert_int_equal(lookups(world), 1);
    assert_first_address(first.answer, "192.0.2.3");
    dns_answer_release(&first.answer);
    dns_answer_release(&second.answer);
    resolves(world, "fleeting.test", "192.0.2.3");
    assert_int_equal(lookups(world), 2);
}

static void all_addresses_of_both_families_are_there(void **state)
{
    struct world *world = *state;
    struct dns_answer *answer = answer_to(world, "many.test", NULL);
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

static void a_name_that_is_not_there_fails_with_a_text_and_is_asked_again(void **state)
{
    struct world *world = *state;
    const char *why = NULL;
    unsigned queries;

    assert_null(answer_to(world, "missing.test.", &why));
    assert_string_equal(why, "Domain name not found");
    queries = world->server.queries;
    assert_null(answer_to(world, "missing.test.", &why));
    assert_int_equal(world->server.queries, 2 * queries);
}

static void a_name_that_can_be_no_name_fails_from_the_loop(void **state)
{
    struct world *world = *state;
    const char *why = NULL;
    char host[] = "a-label-of-more-than-63-bytes-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test";

    assert_null(answer_to(world, host, &why));
    assert_non_null(why);
    assert_int_equal(world->server.queries, 0);
}

static void whoever_asked_for_an_impossible_name_may_leave_at_once(void **state)
{
    struct world *world = *state;
    struct asker asker;

    assert_int_equal(ask(world, &asker, "a..test"), ST_AGAIN);
    dns_cancel(&asker.query);
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(asker.told, 0);
}

static void a_lost_packet_is_sent_again(void **state)
{
    struct world *world = *state;

    world->server.to_drop = 1;
    resolves(world, "one.test", "192.0.2.1");
    assert_int_equal(world->server.queries, 3);
}

static void the_last_one_to_leave_ends_the_lookup_at_once(void **state)
{
    struct world *world = *state;
    int before = open_descriptors();
    struct asker first, second;

    assert_int_equal(ask(world, &first, "silent.test"), ST_AGAIN);
    assert_int_equal(ask(world, &second, "silent.test"), ST_AGAIN);
    assert_true(open_descriptors() > before);
    dns_cancel(&first.query);
    assert_true(open_descriptors() > before);
    dns_cancel(&second.query);
    assert_int_equal(open_descriptors(), before);
    dns_cancel(&second.query);

    resolves(world, "one.test", "192.0.2.1"); /* over the same channel */
    assert_int_equal(first.told + second.told, 0);
    assert_int_equal(open_descriptors(), before);
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
    assert_int_equal(open_descriptors(), before);
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
    world->resolver = resolver_new(&world->rig.worker);
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
    int before = open_descriptors();
    int nth = 0, left;
    enum status status;

    do {
        left = ++nth;
        mem_set_fault(fail_nth, &left);
        status = ask(world, &asker, "silent.test");
        mem_set_fault(NULL, NULL);
        assert_true(status == ST_NOMEM || left > 0);
        assert_true(nth < 10);
    } while (status == ST_NOMEM);
    assert_int_equal(status, ST_AGAIN);
    assert_true(nth > 2);
    dns_cancel(&asker.query);
    assert_int_equal(open_descriptors(), before);
}

static struct dns_answer *some_answer(void)
{
    struct dns_answer *answer = mem_zalloc(sizeof(*answer));

    assert_non_null(answer);
    answer->references = 1;
    return answer;
}

static void the_cache_is_bounded_and_lets_the_least_used_go(void **state)
{
    struct dns_cache cache;
    struct dns_answer *answer = some_answer();
    char host[32];

    dns_cache_init(&cache);
    for (unsigned i = 0; i < DNS_CACHE_MAX + 10; i++) {
        snprintf(host, sizeof(host), "host-%u", i);
        dns_cache_put(&cache, host, answer, 0, 1000);
        assert_non_null(dns_cache_find(&cache, "host-0", 999));
    }
    assert_int_equal(cache.count, DNS_CACHE_MAX);
    assert_int_equal(answer->references, DNS_CACHE_MAX + 1);
    assert_null(dns_cache_find(&cache, "host-10", 999));
    assert_non_null(dns_cache_find(&cache, "HOST-11", 999));
    assert_null(dns_cache_find(&cache, "host-11", 1000));
    assert_int_equal(cache.count, DNS_CACHE_MAX - 1);
    dns_cache_put(&cache, "host-12", answer, 0, 2000);
    assert_int_equal(cache.count, DNS_CACHE_MAX - 1);
    assert_non_null(dns_cache_find(&cache, "host-12", 1999));
    dns_cache_fini(&cache);
    assert_int_equal(answer->references, 1);
    dns_answer_release(&answer);
    assert_null(answer);
}

int main(void)
{
#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(an_answer_is_kept_for_its_ttl),
        WORLD_TEST(no_answer_is_kept_for_more_than_an_hour),
        WORLD_TEST(doubt_has_an_answer_looked_up_anew_at_most_once_a_second),
        WORLD_TEST(the_ttl_of_an_alias_counts_too),
        WORLD_TEST(a_lookup_under_way_is_shared_and_without_ttl_not_kept),
        WORLD_TEST(all_addresses_of_both_families_are_there),
        WORLD_TEST(a_name_that_is_not_there_fails_with_a_text_and_is_asked_again),
        WORLD_TEST(a_name_that_can_be_no_name_fails_from_the_loop),
        WORLD_TEST(whoever_asked_for_an_impossible_name_may_leave_at_once),
        WORLD_TEST(a_lost_packet_is_sent_again),
        WORLD_TEST(the_last_one_to_leave_ends_the_lookup_at_once),
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
