#include "proxy/store_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "base/number.h"
#include "proxy/fleet_script.h"
#include "runtime/store.h"

/*
 * One place after the other has a store of its own, which is asked a list of things, one by one, each answer with a
 * function that reads it. Of a place that is not the first to be reached, only that it can be.
 */

struct probe {
    struct loop loop;
    struct store *store;
    const struct store_spec *spec; /* of one place */
    struct store_findings *out;
    bool is_first, is_over;
    uint32_t step;
    struct store_script script;
    struct store_command command;
    char fault[400];   /* why there is no connection; "": there was one */
    char keys[3][300]; /* two keys and a channel */
};

static void add(struct store_findings *out, bool is_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add(struct store_findings *out, bool is_error, const char *format, ...)
{
    va_list args;

    if (out->count == STORE_FINDINGS_MAX)
        return;
    out->list[out->count].is_error = is_error;
    va_start(args, format);
    vsnprintf(out->list[out->count++].text, sizeof(out->list[0].text), format, args);
    va_end(args);
}

static void finish(struct probe *probe)
{
    probe->is_over = true;
    loop_stop(&probe->loop);
}

/* ---- what the store says of itself --------------------------------------------------------------------- */

/* The value of a line "name:value" of INFO's. */
static struct span value_of(const struct store_reply *info, const char *name)
{
    struct span rest = info->text;
    size_t name_len = strlen(name);

    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;

        if (len > name_len && rest.ptr[name_len] == ':' && memcmp(rest.ptr, name, name_len) == 0) {
            struct span value = {rest.ptr + name_len + 1, len - name_len - 1};

            while (value.len > 0 && value.ptr[value.len - 1] == '\r')
                value.len--;
            return value;
        }
        len += end != NULL;
        rest = (struct span){rest.ptr + len, rest.len - len};
    }
    return SPAN_LIT("");
}

static void read_server(struct probe *probe, const struct store_reply *info)
{
    struct span valkey = value_of(info, "valkey_version"), version = value_of(info, "redis_version");
    struct span mode = value_of(info, "redis_mode");
    struct text place = text_over(probe->out->place, sizeof(probe->out->place) - 1);

    store_put_place(probe->store, &place);
    place.ptr[place.len] = '\0';
    if (valkey.len != 0)
        version = valkey;
    snprintf(probe->out->version, sizeof(probe->out->version), "%s %.*s, %.*s",
             valkey.len != 0 ? "Valkey" : "Redis", SPAN_FMT(version), SPAN_FMT(mode));
}

static void read_memory(struct probe *probe, const struct store_reply *info)
{
    struct span policy = value_of(info, "maxmemory_policy");

    if (policy.len != 0 && !span_eq(policy, SPAN_LIT("noeviction")))
        add(probe->out, false,
            "its maxmemory-policy is %.*s: short of memory, it throws away what the fleet knows, and each time "
            "nothing is lent for a while; noeviction is right",
            SPAN_FMT(policy));
}

static void read_replication(struct probe *probe, const struct store_reply *info)
{
    struct span replicas = value_of(info, "connected_slaves");

    if (replicas.len == 0 || span_eq(replicas, SPAN_LIT("0")) ||
        value_of(info, "min_slaves_good_slaves").len != 0)
        return;
    add(probe->out, false,
        "it has %.*s replica%s and no min-replicas-to-write: a master that is cut off from them goes on beside "
        "the new one, and each lends the whole size; min-replicas-to-write 1 and min-replicas-max-lag 10 are right",
        SPAN_FMT(replicas), span_eq(replicas, SPAN_LIT("1")) ? "" : "s");
}

/* The name of a command and its error, in turns; those that have the same error are told together. */
static void read_rights(struct probe *probe, const struct store_reply *refused)
{
    uint32_t count = refused->kind == STORE_LIST ? refused->count & ~1u : 0;

    for (uint32_t i = 0, next; i < count; i = next) {
        struct span error = store_reply_text(refused, i + 1);
        char names[256], block[128];
        struct text list = text_over(names, sizeof(names)), quoted = text_over(block, sizeof(block));

        for (next = i; next < count && span_eq(store_reply_text(refused, next + 1), error); next += 2) {
            if (next != i)
                TEXT_LIT(&list, ", ");
            text_put(&list, store_reply_text(refused, next));
        }
        text_excerpt(&quoted, error);
        add(probe->out, true, "a script may not call %.*s: it said %.*s", SPAN_FMT(text_span(&list)),
            SPAN_FMT(text_span(&quoted)));
    }
}

/* ---- one after the other ------------------------------------------------------------------------------- */

static const struct question {
    const char *words[3]; /* none: the script */
    void (*read)(struct probe *probe, const struct store_reply *reply);
} questions[] = {
    {{"PING"}, NULL},
    {{"INFO", "server"}, read_server},
    {{"INFO", "memory"}, read_memory},
    {{"INFO", "replication"}, read_replication},
    {{"EVAL", "return 1", "0"},
     NULL}, /* else it would only be seen while the store does not know a script yet */
    {{NULL}, read_rights},
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static void ask(struct probe *probe);

static void has_failed(struct probe *probe, enum store_fault fault, const char *why)
{
    const struct question *question = &questions[probe->step];

    add(probe->out, true, "%s: %s%s", question->words[0] != NULL ? question->words[0] : "a script",
        fault == STORE_REFUSED ? "it said " : "", why);
}

static bool is_same_command(uint32_t a, uint32_t b)
{
    return questions[a].words[0] != NULL && questions[b].words[0] != NULL &&
           strcmp(questions[a].words[0], questions[b].words[0]) == 0;
}

static void was_answered(struct store_command *command, enum store_fault fault,
                         const struct store_reply *reply, const char *why)
{
    struct probe *probe = CONTAINER_OF(command, struct probe, command);
    int64_t took_ns = loop_clock_ns() - command->sent_ns;

    if (fault != STORE_FINE)
        has_failed(probe, fault, why);
    else if (questions[probe->step].read != NULL)
        questions[probe->step].read(probe, reply);
    if (probe->step == 0)
        probe->out->round_trip_ns = took_ns;
    if (fault != STORE_FINE && fault != STORE_REFUSED) {
        finish(probe);
        return;
    }
    /* Who may not read one section of INFO may read none. */
    do
        probe->step++;
    while (fault == STORE_REFUSED && probe->step < QUESTIONS &&
           is_same_command(probe->step, probe->step - 1));
    ask(probe);
}

static void listen_to_channel(struct probe *probe)
{
    struct span channel = span_of(probe->keys[2]);

    if (store_listen(probe->store, &channel, 1) != ST_OK) {
        add(probe->out, true, "SUBSCRIBE: not enough memory");
        finish(probe);
    }
}

static void ask(struct probe *probe)
{
    const struct question *question = &questions[probe->step];
    struct span words[3], keys[2] = {span_of(probe->keys[0]), span_of(probe->keys[1])};
    struct span channel = span_of(probe->keys[2]);
    uint32_t count = 0;

    if (probe->step == QUESTIONS) {
        listen_to_channel(probe);
        return;
    }
    for (; count < 3 && question->words[count] != NULL; count++)
        words[count] = span_of(question->words[count]);
    if (count > 0)
        store_send(probe->store, &probe->command, words, count, 0, was_answered);
    else
        store_run(probe->store, &probe->command, &probe->script, keys, 2, &channel, 1, 0, was_answered);
}

/* ---- the store's events -------------------------------------------------------------------------------- */

static void is_up(void *arg)
{
    struct probe *probe = arg;

    probe->fault[0] = '\0';
    if (!probe->is_first) {
        finish(probe);
    } else if (probe->step == 0 && !store_is_under_way(&probe->command)) {
        probe->out->is_reached = true;
        ask(probe);
    }
}

/* What a person may try next. */
static const char *hint_at(const struct store_spec *spec, enum store_fault fault, const char *why)
{
    bool was_cut = strstr(why, "was reset") != NULL || strstr(why, "has closed") != NULL;

    if (fault == STORE_AWAY && was_cut && !spec->has_tls)
        return "; a store that wants TLS does that, and rediss:// is right there";
    if (strstr(why, "NOAUTH") != NULL)
        return "; user and password: {file: PATH} are right";
    return "";
}

static void is_down(void *arg, enum store_fault fault, const char *why)
{
    struct probe *probe = arg;

    if (probe->out->is_reached && probe->is_first)
        return; /* the command says so */
    snprintf(probe->fault, sizeof(probe->fault), "%s%s", why, hint_at(probe->spec, fault, why));
    finish(probe);
}

static void was_heard(void *arg, struct span channel)
{
    (void)arg;
    (void)channel;
}

static void is_listening(void *arg)
{
    finish(arg);
}

static void is_deaf(void *arg, enum store_fault fault, const char *why)
{
    struct probe *probe = arg;

    (void)fault;
    if (probe->is_over)
        return;
    add(probe->out, true, "a second connection, with SUBSCRIBE: %s", why);
    finish(probe);
}

static const struct store_events events = {is_up, is_down, was_heard, is_listening, is_deaf};

/* ---- a place ------------------------------------------------------------------------------------------- */

static void name_keys(struct probe *probe, const char *fleet)
{
    static const char *const names[] = {"hash", "set", "hint"};
    unsigned long long own = (unsigned long long)loop_clock_ns();

    for (unsigned i = 0; i < 3; i++)
        snprintf(probe->keys[i], sizeof(probe->keys[i]), "curfew:{%s/check.%llx}:%s", fleet, own, names[i]);
}

static enum status run(struct probe *probe)
{
    char why[sizeof(probe->fault)] = "";
    enum status status;

    probe->store = store_new(&probe->loop, probe->spec, &events, probe, why, sizeof(why));
    if (probe->store == NULL) {
        snprintf(probe->fault, sizeof(probe->fault), "%s", why);
        return ST_OK;
    }
    status = loop_run(&probe->loop);
    store_free(probe->store);
    return status;
}

static enum status try_place(const struct store_spec *spec, const char *fleet, struct store_findings *out,
                             char *fault, size_t fault_cap)
{
    struct probe *probe = mem_zalloc(sizeof(*probe));
    enum status status;

    if (probe == NULL)
        return ST_NOMEM;
    probe->spec = spec;
    probe->out = out;
    probe->is_first = !out->is_reached;
    store_script_init(&probe->script, fleet_script_check());
    name_keys(probe, fleet);
    status = loop_init(&probe->loop, 0);
    if (status == ST_OK) {
        status = run(probe);
        loop_fini(&probe->loop);
    }
    snprintf(fault, fault_cap, "%s", probe->fault);
    mem_free(probe);
    return status == ST_OK ? ST_OK : ST_NOMEM;
}

static void judge_speed(const struct store_spec *spec, struct store_findings *out)
{
    if (!out->is_reached || out->round_trip_ns <= spec->timeout_ns / 2)
        return;
    add(out, false, "an answer took %s, more than half of timeout (%s): a busy moment makes it late",
        number_duration_text(out->round_trip_ns / NS_PER_MS * NS_PER_MS).text,
        number_duration_text(spec->timeout_ns).text);
}

enum status store_check(const struct store_spec *spec, const char *fleet, struct store_findings *out)
{
    char faults[STORE_PLACES_MAX][400];

    PRE(spec->place_count <= STORE_PLACES_MAX);
    *out = (struct store_findings){0};
    for (uint32_t i = 0; i < spec->place_count; i++) {
        struct store_spec one = *spec;

        one.places = &spec->places[i];
        one.place_count = 1;
        if (try_place(&one, fleet, out, faults[i], sizeof(faults[i])) != ST_OK)
            return ST_NOMEM;
    }
    for (uint32_t i = 0; i < spec->place_count; i++) {
        if (faults[i][0] != '\0')
            add(out, !out->is_reached, "%s", faults[i]);
    }
    judge_speed(spec, out);
    return ST_OK;
}
