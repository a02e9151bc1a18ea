#include "fake_store.h"

#include <fcntl.h>

#include "base/mem.h"
#include "runtime/store.h"

/*
 * A store as a process speaks to it, and what it does when that one stalls, says rubbish, or is somewhere else. The
 * store is one of fake_store.h; on a real redis-server it runs in tests/integration.
 */

#define MS NS_PER_MS

struct world {
    struct rig rig;
    struct fake_store *fake, *other; /* other: NULL, or a second one */
    struct store_place places[3];
    struct store_spec spec;
    struct store *store;
    struct store_command commands[3];
    unsigned ups, downs, hints, listenings, deafs, answers;
    enum store_fault fault, down_fault, faults[3];
    char why[512], down_why[512], text[512], channel[64];
    int64_t number;
    unsigned wanted; /* of `answers`: the loop stops then */
};

static void up(void *arg)
{
    struct world *world = arg;

    world->ups++;
    if (world->wanted == 0)
        loop_stop(&world->rig.loop);
}

static void down(void *arg, enum store_fault fault, const char *why)
{
    struct world *world = arg;

    world->downs++;
    world->down_fault = fault;
    snprintf(world->down_why, sizeof(world->down_why), "%s", why);
    if (world->wanted == 0)
        loop_stop(&world->rig.loop);
}

static void hint(void *arg, struct span channel)
{
    struct world *world = arg;

    world->hints++;
    snprintf(world->channel, sizeof(world->channel), "%.*s", SPAN_FMT(channel));
    loop_stop(&world->rig.loop);
}

static void listening(void *arg)
{
    struct world *world = arg;

    world->listenings++;
    loop_stop(&world->rig.loop);
}

static void deaf(void *arg, enum store_fault fault, const char *why)
{
    struct world *world = arg;

    world->deafs++;
    (void)fault;
    snprintf(world->why, sizeof(world->why), "%s", why);
    loop_stop(&world->rig.loop);
}

static const struct store_events events = {up, down, hint, listening, deaf};

static struct world *the_world; /* a command has no argument of its own */

static void over(struct store_command *command, enum store_fault fault, const struct store_reply *reply,
                 const char *why)
{
    struct world *world = the_world;

    assert_false(store_is_under_way(command));
    assert_true((reply != NULL) == (fault == STORE_FINE || fault == STORE_REFUSED));
    world->fault = world->faults[command - world->commands] = fault;
    snprintf(world->why, sizeof(world->why), "%s", why);
    if (reply != NULL) {
        snprintf(world->text, sizeof(world->text), "%.*s", SPAN_FMT(reply->text));
        world->number = reply->number;
    }
    if (++world->answers == world->wanted)
        loop_stop(&world->rig.loop);
}

static void say_hello_and_pong(struct fake_conn *conn, const char *const *words, int count)
{
    (void)count;
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
    else
        fake_say(conn, "+PONG\r\n");
}

static void begin(struct world *world, fake_fn answer)
{
    *world = (struct world){0};
    the_world = world;
    rig_init(&world->rig);
    world->fake = fake_start(&world->rig.loop, answer, world);
    world->places[0] = (struct store_place){.host = "127.0.0.1", .port = world->fake->port};
    world->spec = (struct store_spec){.places = world->places, .place_count = 1, .timeout_ns = 100 * MS};
}

static void open_store(struct world *world)
{
    char why[256];

    world->store = store_new(&world->rig.loop, &world->spec, &events, world, why, sizeof(why));
    assert_non_null(world->store);
}

/* Until it is up, or is said not to be. */
static void connect_store(struct world *world)
{
    open_store(world);
    rig_run(&world->rig);
}

static void send_words(struct world *world, unsigned which, const char *first)
{
    const struct span words[] = {span_of(first)};

    store_send(world->store, &world->commands[which], words, 1, 0, over);
}

/* Runs until so many commands are over. */
static void await(struct world *world, unsigned answers)
{
    world->wanted = answers;
    rig_run(&world->rig);
    world->wanted = 0;
}

static void end(struct world *world)
{
    if (world->store != NULL)
        store_free(world->store);
    fake_stop(world->fake);
    if (world->other != NULL)
        fake_stop(world->other);
    rig_fini(&world->rig);
}

/* ---- commands ------------------------------------------------------------------------------------------ */

static void a_command_is_answered_over_a_connection_that_was_greeted(void **state)
{
    struct world world;

    begin(&world, say_hello_and_pong);
    connect_store(&world);
    assert_int_equal(world.ups, 1);
    assert_int_equal(store_connection(world.store), 1);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_FINE);
    assert_string_equal(world.text, "PONG");
    assert_string_equal(world.fake->log, "HELLO 2 SETNAME curfew\nPING\n");
    end(&world);
}

static void a_command_waits_for_the_connection(void **state)
{
    struct world world;

    begin(&world, say_hello_and_pong);
    open_store(&world);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_FINE);
    end(&world);
}

static void commands_of_one_turn_go_out_together_and_are_answered_in_order(void **state)
{
    struct world world;

    begin(&world, say_hello_and_pong);
    connect_store(&world);
    for (unsigned i = 0; i < 3; i++)
        send_words(&world, i, "PING");
    await(&world, 3);
    assert_int_equal(world.fake->commands, 4);
    assert_int_equal(world.faults[0] | world.faults[1] | world.faults[2], STORE_FINE);
    end(&world);
}

static void say_error(struct fake_conn *conn, const char *const *words, int count)
{
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
    else if (strcmp(words[0], "PING") == 0)
        fake_say(conn, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    else
        say_hello_and_pong(conn, words, count);
}

static void an_error_is_an_answer_and_the_connection_stays(void **state)
{
    struct world world;

    begin(&world, say_error);
    connect_store(&world);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_REFUSED);
    assert_non_null(strstr(world.why, "OOM command not allowed"));
    send_words(&world, 0, "OTHER");
    await(&world, 2);
    assert_int_equal(world.fault, STORE_FINE);
    assert_int_equal(world.fake->accepted, 1);
    end(&world);
}

/* EVALSHA is unknown to it, EVAL is not; `:N` is what it answers. */
static void say_no_script(struct fake_conn *conn, const char *const *words, int count)
{
    if (strcmp(words[0], "EVALSHA") == 0)
        fake_say(conn, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    else if (strcmp(words[0], "EVAL") == 0)
        fake_say(conn, ":42\r\n");
    else
        say_hello_and_pong(conn, words, count);
}

static void run_script(struct world *world)
{
    static struct store_script script;
    const struct span keys[] = {SPAN_LIT("curfew:{f/p}:book")}, args[] = {SPAN_LIT("1"), SPAN_LIT("")};

    store_script_init(&script, SPAN_LIT("return 42"));
    store_run(world->store, &world->commands[0], &script, keys, 1, args, 2, 0, over);
}

static void a_script_goes_by_its_digest_and_whole_where_it_is_not_known(void **state)
{
    struct world world;

    begin(&world, say_no_script);
    connect_store(&world);
    run_script(&world);
    await(&world, 1);
    assert_int_equal(world.fault, STORE_FINE);
    assert_int_equal(world.number, 42);
    assert_non_null(strstr(world.fake->log,
                           "EVALSHA 1fa00e76656cc152ad327c13fe365858fd7be306 1 curfew:{f/p}:book 1 \n"
                           "EVAL return 42 1 curfew:{f/p}:book 1 \n"));
    end(&world);
}

/* ---- waits --------------------------------------------------------------------------------------------- */

static void say_hello_only(struct fake_conn *conn, const char *const *words, int count)
{
    (void)count;
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
}

static void what_is_not_answered_in_time_costs_the_connection_and_a_new_one_is_made(void **state)
{
    struct world world;
    int64_t began_ns;

    begin(&world, say_hello_only);
    connect_store(&world);
    began_ns = loop_clock_ns();
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_true(loop_clock_ns() - began_ns >= 100 * MS);
    assert_int_equal(world.fault, STORE_LATE);
    assert_int_equal(store_connection(world.store), 0);
    while (world.ups < 2)
        rig_run(&world.rig);
    assert_int_equal(store_connection(world.store), 2);
    assert_int_equal(world.fake->accepted, 2);
    end(&world);
}

static void others_on_a_connection_that_is_given_up_are_away(void **state)
{
    struct world world;

    begin(&world, say_hello_only);
    connect_store(&world);
    send_words(&world, 0, "FIRST");
    store_send(world.store, &world.commands[1], (const struct span[]){SPAN_LIT("SECOND")}, 1, 10 * NS_PER_S,
               over);
    await(&world, 2);
    assert_int_equal(world.faults[0], STORE_LATE);
    assert_int_equal(world.faults[1], STORE_AWAY);
    end(&world);
}

static void a_command_that_is_taken_back_takes_its_connection_with_it(void **state)
{
    struct world world;

    begin(&world, say_hello_only);
    connect_store(&world);
    send_words(&world, 0, "ONE");
    send_words(&world, 1, "TWO");
    store_cancel(world.store, &world.commands[0]);
    assert_int_equal(world.answers, 0); /* nobody is told out of store_cancel */
    assert_int_equal(store_connection(world.store), 0);
    await(&world, 1);
    assert_int_equal(world.faults[1], STORE_AWAY);
    assert_false(store_is_under_way(&world.commands[0]));
    end(&world);
}

static void while_the_store_is_away_commands_end_at_once(void **state)
{
    struct world world;

    begin(&world, say_hello_and_pong);
    event_del(&world.fake->event);
    close(world.fake->fd);
    connect_store(&world);
    assert_int_equal(world.downs, 1);
    assert_int_equal(world.down_fault, STORE_AWAY);
    assert_non_null(strstr(world.down_why, "Connection refused"));
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_AWAY);
    assert_non_null(strstr(world.why, "Connection refused"));
    world.fake->fd = bound_socket(SOCK_STREAM, &(struct sockaddr_in){0});
    event_add(&world.fake->event, NULL);
    end(&world);
}

static void say_nothing(struct fake_conn *conn, const char *const *words, int count)
{
    (void)conn;
    (void)words;
    (void)count;
}

static void a_store_that_accepts_and_says_nothing_is_given_up_after_a_second(void **state)
{
    struct world world;
    int64_t began_ns = loop_clock_ns();

    begin(&world, say_nothing);
    open_store(&world);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_AWAY);
    assert_true(loop_clock_ns() - began_ns < NS_PER_S);
    rig_run(&world.rig);
    assert_int_equal(world.downs, 1);
    assert_non_null(strstr(world.down_why, "no connection in time"));
    assert_true(loop_clock_ns() - began_ns >= NS_PER_S);
    end(&world);
}

/* ---- what is no answer --------------------------------------------------------------------------------- */

static void say_what_it_is_told(struct fake_conn *conn, const char *const *words, int count)
{
    (void)count;
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
    else
        fake_say(conn, conn->fake->arg);
}

static void ask_for(struct world *world, const char *answer)
{
    world->fake->arg = (char *)(uintptr_t)answer;
    send_words(world, 0, "PING");
    await(world, world->answers + 1);
}

static void rubbish_costs_the_connection(void **state)
{
    static const char *const rubbish[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "*99999999\r\n",
        "*-7\r\n",
        "$-7\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ":12x\r\n",
        "*2\r\n*4000\r\n"};
    for (unsigned i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        struct world world;

        begin(&world, say_what_it_is_told);
        connect_store(&world);
        ask_for(&world, rubbish[i]);
        if (i < 7)
            assert_int_equal(world.fault, STORE_GARBLED);
        else
            assert_int_equal(world.fault, STORE_LATE); /* a list that does not come to its end */
        while (store_connection(world.store) == 0)
            rig_run(&world.rig);
        ask_for(&world, "+OK\r\n");
        assert_int_equal(world.fault, STORE_FINE);
        end(&world);
    }
}

static void an_answer_that_nobody_asked_for_costs_the_connection(void **state)
{
    struct world world;

    begin(&world, say_what_it_is_told);
    connect_store(&world);
    ask_for(&world, "+OK\r\n+AND MORE\r\n");
    assert_int_equal(world.fault, STORE_FINE);
    while (world.downs < 1)
        rig_run(&world.rig);
    assert_int_equal(world.down_fault, STORE_GARBLED);
    end(&world);
}

/* A bulk of a GiB, of which it sends what the socket takes. */
static void say_too_much(struct fake_conn *conn, const char *const *words, int count)
{
    static char junk[1 << 20];

    (void)count;
    if (strcmp(words[0], "HELLO") == 0) {
        fake_hello(conn, "master");
        return;
    }
    fake_say(conn, "$1073741824\r\n");
    memset(junk, 'x', sizeof(junk));
    assert_true(send(conn->fd, junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT) > 65536);
}

static void a_huge_answer_costs_the_connection_and_little_memory(void **state)
{
    struct world world;

    begin(&world, say_too_much);
    world.spec.timeout_ns = 5 * NS_PER_S;
    connect_store(&world);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_GARBLED);
    assert_non_null(strstr(world.why, "64 KiB"));
    end(&world);
}

/* arg is what is left of the answer: a byte each millisecond. */
static void say_a_byte(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval later = {0, 1000};
    struct fake_conn *conn = arg;
    const char *left = conn->fake->arg;
    char piece[] = {*left, '\0'};

    (void)fd;
    (void)what;
    fake_say(conn, piece);
    conn->fake->arg = (char *)(uintptr_t)(left + 1);
    if (left[1] != '\0')
        event_base_once(conn->fake->loop->base, -1, EV_TIMEOUT, say_a_byte, conn, &later);
}

static void say_byte_by_byte(struct fake_conn *conn, const char *const *words, int count)
{
    (void)count;
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
    else
        say_a_byte(-1, 0, conn);
}

static void an_answer_may_come_a_byte_at_a_time(void **state)
{
    struct world world;

    begin(&world, say_byte_by_byte);
    world.spec.timeout_ns = 5 * NS_PER_S;
    connect_store(&world);
    ask_for(&world, "*4\r\n$2\r\nOK\r\n:-7\r\n$-1\r\n*0\r\n");
    assert_int_equal(world.fault, STORE_FINE);
    end(&world);
}

/* ---- who answers --------------------------------------------------------------------------------------- */

static void say_hello_as_replica(struct fake_conn *conn, const char *const *words, int count)
{
    (void)words;
    (void)count;
    fake_hello(conn, "replica");
}

static void a_replica_is_not_taken_and_the_next_place_is_tried(void **state)
{
    struct world world;

    begin(&world, say_hello_as_replica);
    world.other = fake_start(&world.rig.loop, say_hello_and_pong, &world);
    world.places[1] = (struct store_place){.host = "127.0.0.1", .port = world.other->port};
    world.spec.place_count = 2;
    connect_store(&world);
    assert_int_equal(world.downs, 1);
    assert_non_null(strstr(world.down_why, "it is a replica, not the master"));
    rig_run(&world.rig);
    assert_int_equal(world.ups, 1);
    assert_int_equal(world.fake->accepted, 1);
    assert_int_equal(world.other->accepted, 1);
    end(&world);
}

static void say_read_only(struct fake_conn *conn, const char *const *words, int count)
{
    (void)count;
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
    else
        fake_say(conn, "-READONLY You can't write against a read only replica.\r\n");
}

static void who_has_become_a_replica_is_left(void **state)
{
    struct world world;

    begin(&world, say_read_only);
    connect_store(&world);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_REFUSED);
    while (world.ups < 2)
        rig_run(&world.rig);
    assert_int_equal(world.downs, 1);
    assert_non_null(strstr(world.down_why, "not the master any more"));
    end(&world);
}

static void say_old(struct fake_conn *conn, const char *const *words, int count)
{
    (void)words;
    (void)count;
    fake_say(conn, "-ERR unknown command `HELLO`, with args beginning with: `2`, \r\n");
}

static void a_store_that_is_too_old_says_so(void **state)
{
    struct world world;

    begin(&world, say_old);
    connect_store(&world);
    assert_int_equal(world.down_fault, STORE_LOCKED);
    assert_non_null(strstr(world.down_why, "older than Redis 6.0"));
    end(&world);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* It takes the password "second" alone. */
static void say_if_the_password_is_right(struct fake_conn *conn, const char *const *words, int count)
{
    if (strcmp(words[0], "SELECT") == 0)
        fake_say(conn, "+OK\r\n");
    else if (strcmp(words[0], "HELLO") == 0 && (count != 7 || strcmp(words[6], "second") != 0))
        fake_say(conn, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    else
        say_hello_and_pong(conn, words, count);
}

static void the_password_is_read_at_each_connection(void **state)
{
    struct world world;
    char path[64];

    snprintf(path, sizeof(path), "/tmp/curfew-test-store.%d", (int)getpid());
    write_file(path, "first\n");
    begin(&world, say_if_the_password_is_right);
    world.spec.user = "fleet";
    world.spec.password_file = path;
    world.spec.database = 3;
    connect_store(&world);
    assert_int_equal(world.down_fault, STORE_LOCKED);
    assert_non_null(strstr(world.down_why, "WRONGPASS"));
    assert_null(strstr(world.down_why, "first"));
    write_file(path, "second\r\n");
    while (world.ups < 1)
        rig_run(&world.rig);
    assert_non_null(strstr(world.fake->log, "HELLO 2 SETNAME curfew AUTH fleet second\nSELECT 3\n"));
    assert_int_equal(world.downs, 1);
    /* A connection that has gone is one thing, and that the next one is refused is another. */
    write_file(path, "first\n");
    send_words(&world, 0, "PING");
    store_cancel(world.store, &world.commands[0]);
    while (world.downs < 3)
        rig_run(&world.rig);
    assert_int_equal(world.down_fault, STORE_LOCKED);
    unlink(path);
    end(&world);
}

static void a_password_that_can_not_be_read_is_named(void **state)
{
    struct world world;

    begin(&world, say_hello_and_pong);
    world.spec.password_file = "/nonexistent/password";
    connect_store(&world);
    assert_int_equal(world.down_fault, STORE_LOCKED);
    assert_non_null(strstr(world.down_why, "/nonexistent/password: No such file or directory"));
    end(&world);
}

/* ---- a cluster ----------------------------------------------------------------------------------------- */

/* Keys are at the other node; arg is the world. */
static void say_moved(struct fake_conn *conn, const char *const *words, int count)
{
    struct world *world = conn->fake->arg;
    char text[64];

    snprintf(text, sizeof(text), "-MOVED 3999 127.0.0.1:%u\r\n", world->other->port);
    if (strncmp(words[0], "EVAL", 4) == 0)
        fake_say(conn, text);
    else
        say_hello_and_pong(conn, words, count);
}

static void a_key_that_has_moved_is_followed_and_remembered(void **state)
{
    struct world world;

    begin(&world, say_moved);
    world.other = fake_start(&world.rig.loop, say_no_script, &world);
    connect_store(&world);
    run_script(&world);
    await(&world, 1);
    assert_int_equal(world.fault, STORE_FINE);
    assert_int_equal(world.number, 42);
    run_script(&world);
    await(&world, 2);
    assert_int_equal(world.fault, STORE_FINE);
    assert_int_equal(world.fake->commands, 2); /* HELLO and one EVALSHA */
    fake_hang_up(&world.other->conns[0]);
    world.wanted = 3;
    run_script(&world); /* before it is known that the other has gone, or after: both end well, or are away */
    rig_run(&world.rig);
    world.wanted = 0;
    run_script(&world);
    await(&world, 4);
    assert_int_equal(world.fault, STORE_FINE);
    end(&world);
}

static void say_ask(struct fake_conn *conn, const char *const *words, int count)
{
    struct world *world = conn->fake->arg;
    char text[64];

    snprintf(text, sizeof(text), "-ASK 3999 127.0.0.1:%u\r\n", world->other->port);
    if (strncmp(words[0], "EVAL", 4) == 0)
        fake_say(conn, text);
    else
        say_hello_and_pong(conn, words, count);
}

static void say_after_asking(struct fake_conn *conn, const char *const *words, int count)
{
    if (strcmp(words[0], "ASKING") == 0)
        fake_say(conn, "+OK\r\n");
    else if (strcmp(words[0], "EVALSHA") == 0)
        fake_say(conn, ":7\r\n");
    else
        say_hello_and_pong(conn, words, count);
}

static void a_key_that_is_on_its_way_is_asked_for(void **state)
{
    struct world world;

    begin(&world, say_ask);
    world.other = fake_start(&world.rig.loop, say_after_asking, &world);
    connect_store(&world);
    run_script(&world);
    await(&world, 1);
    assert_int_equal(world.number, 7);
    assert_non_null(strstr(world.other->log, "ASKING\nEVALSHA "));
    end(&world);
}

static void say_moved_to_itself(struct fake_conn *conn, const char *const *words, int count)
{
    if (strncmp(words[0], "EVAL", 4) == 0)
        fake_say(conn, conn->fake->arg);
    else
        say_hello_and_pong(conn, words, count);
}

static void nodes_that_send_it_to_each_other_are_not_followed_for_ever(void **state)
{
    struct world world;
    char text[64];

    begin(&world, say_moved_to_itself);
    snprintf(text, sizeof(text), "-MOVED 3999 :%u\r\n", world.fake->port);
    world.fake->arg = text;
    connect_store(&world);
    run_script(&world);
    await(&world, 1);
    assert_int_equal(world.fault, STORE_AWAY);
    assert_int_equal(world.fake->commands, 5);
    end(&world);
}

/* ---- Sentinel ------------------------------------------------------------------------------------------ */

/* arg is what it says of the master. */
static void say_as_sentinel(struct fake_conn *conn, const char *const *words, int count)
{
    assert_int_equal(count, 3);
    assert_string_equal(words[0], "SENTINEL");
    assert_string_equal(words[2], "main");
    fake_say(conn, conn->fake->arg);
}

static void the_master_is_where_sentinel_says(void **state)
{
    struct world world;
    char text[64];

    begin(&world, say_hello_and_pong);
    world.other = fake_start(&world.rig.loop, say_as_sentinel, text);
    snprintf(text, sizeof(text), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", world.fake->port);
    world.places[0].port = world.other->port;
    world.spec.sentinel = "main";
    connect_store(&world);
    assert_int_equal(world.ups, 1);
    assert_int_equal(world.fake->accepted, 1);
    send_words(&world, 0, "PING");
    await(&world, 1);
    assert_int_equal(world.fault, STORE_FINE);
    end(&world);
}

static void a_sentinel_that_does_not_know_is_named_and_the_next_is_asked(void **state)
{
    struct world world;
    char text[64];
    struct fake_store *ignorant;

    begin(&world, say_hello_and_pong);
    world.other = fake_start(&world.rig.loop, say_as_sentinel, text);
    snprintf(text, sizeof(text), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", world.fake->port);
    ignorant = fake_start(&world.rig.loop, say_as_sentinel, "*-1\r\n");
    world.places[0].port = ignorant->port;
    world.places[1] = (struct store_place){.host = "127.0.0.1", .port = world.other->port};
    world.spec.place_count = 2;
    world.spec.sentinel = "main";
    connect_store(&world);
    assert_int_equal(world.downs, 1);
    assert_non_null(strstr(world.down_why, "it knows no master of the name main"));
    while (world.ups < 1)
        rig_run(&world.rig);
    fake_stop(ignorant);
    end(&world);
}

/* ---- hints --------------------------------------------------------------------------------------------- */

static void say_as_publisher(struct fake_conn *conn, const char *const *words, int count)
{
    char text[128];

    for (int i = 1; strcmp(words[0], "SUBSCRIBE") == 0 && i < count; i++) {
        snprintf(text, sizeof(text), "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%d\r\n", strlen(words[i]),
                 words[i], i);
        fake_say(conn, text);
    }
    if (strcmp(words[0], "HELLO") == 0)
        fake_hello(conn, "master");
    else if (strcmp(words[0], "PING") == 0)
        fake_say(conn, "+PONG\r\n");
}

static void what_is_published_is_heard_over_a_connection_of_its_own(void **state)
{
    const struct span channels[] = {SPAN_LIT("curfew:{f/a}:hint:1"), SPAN_LIT("curfew:{f/b}:hint:1")};
    struct world world;

    begin(&world, say_as_publisher);
    open_store(&world);
    assert_int_equal(store_listen(world.store, channels, 2), ST_OK);
    while (world.listenings < 1)
        rig_run(&world.rig);
    assert_int_equal(world.fake->accepted, 2);
    fake_say(&world.fake->conns[1], "*3\r\n$7\r\nmessage\r\n$19\r\ncurfew:{f/b}:hint:1\r\n$0\r\n\r\n");
    rig_run(&world.rig);
    assert_int_equal(world.hints, 1);
    assert_string_equal(world.channel, "curfew:{f/b}:hint:1");
    fake_hang_up(&world.fake->conns[1]);
    while (world.listenings < 2)
        rig_run(&world.rig);
    assert_int_equal(world.deafs, 1);
    assert_int_equal(world.downs, 0);
    end(&world);
}

/* ---- no memory ----------------------------------------------------------------------------------------- */

static bool fails_at(void *arg, size_t size)
{
    int *left = arg;

    (void)size;
    return (*left)-- == 0;
}

static void each_allocation_may_fail(void **state)
{
    const struct span channels[] = {SPAN_LIT("curfew:{f/a}:hint:1")};
    bool is_done = false;

    for (int nth = 0; !is_done; nth++) {
        struct world world;
        char why[256];
        int left = nth;

        begin(&world, say_as_publisher);
        world.spec.timeout_ns = 100 * MS;
        mem_set_fault(fails_at, &left);
        world.store = store_new(&world.rig.loop, &world.spec, &events, &world, why, sizeof(why));
        if (world.store != NULL && store_listen(world.store, channels, 1) == ST_OK) {
            while (world.listenings < 1)
                rig_run(&world.rig);
            send_words(&world, 0, "PING");
            await(&world, 1);
        }
        mem_set_fault(NULL, NULL);
        is_done = left >= 0;
        assert_true(nth < 1000);
        end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_answered_over_a_connection_that_was_greeted),
        cmocka_unit_test(a_command_waits_for_the_connection),
        cmocka_unit_test(commands_of_one_turn_go_out_together_and_are_answered_in_order),
        cmocka_unit_test(an_error_is_an_answer_and_the_connection_stays),
        cmocka_unit_test(a_script_goes_by_its_digest_and_whole_where_it_is_not_known),
        cmocka_unit_test(what_is_not_answered_in_time_costs_the_connection_and_a_new_one_is_made),
        cmocka_unit_test(others_on_a_connection_that_is_given_up_are_away),
        cmocka_unit_test(a_command_that_is_taken_back_takes_its_connection_with_it),
        cmocka_unit_test(while_the_store_is_away_commands_end_at_once),
        cmocka_unit_test(a_store_that_accepts_and_says_nothing_is_given_up_after_a_second),
        cmocka_unit_test(rubbish_costs_the_connection),
        cmocka_unit_test(an_answer_that_nobody_asked_for_costs_the_connection),
        cmocka_unit_test(a_huge_answer_costs_the_connection_and_little_memory),
        cmocka_unit_test(an_answer_may_come_a_byte_at_a_time),
        cmocka_unit_test(a_replica_is_not_taken_and_the_next_place_is_tried),
        cmocka_unit_test(who_has_become_a_replica_is_left),
        cmocka_unit_test(a_store_that_is_too_old_says_so),
        cmocka_unit_test(the_password_is_read_at_each_connection),
        cmocka_unit_test(a_password_that_can_not_be_read_is_named),
        cmocka_unit_test(a_key_that_has_moved_is_followed_and_remembered),
        cmocka_unit_test(a_key_that_is_on_its_way_is_asked_for),
        cmocka_unit_test(nodes_that_send_it_to_each_other_are_not_followed_for_ever),
        cmocka_unit_test(the_master_is_where_sentinel_says),
        cmocka_unit_test(a_sentinel_that_does_not_know_is_named_and_the_next_is_asked),
        cmocka_unit_test(what_is_published_is_heard_over_a_connection_of_its_own),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
