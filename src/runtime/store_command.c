/* SHA1_Init and its like ask the heap for nothing; what is newer does, and OpenSSL 3.0 crashes where there is none. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "runtime/store_command.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/store_error.h"
#include "runtime/store_words.h"

/*
 * start: submit -> waits for the node -> sent -> answered -> over
 *            |           ^                  |       |
 *            |           +------------------+-------+  NOSCRIPT, MOVED, ASK: submit again
 *            +-> the end of the turn: over, if it can't be sent
 *
 * `over` is the one way out but for the cancel. A command that is sent is on its link's list of requests, one that
 * waits on its node's.
 */
#define REDIRECTS 3u

void store_script_init(struct store_script *script, struct span source)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA_CTX context;

    script->source = source;
    SHA1_Init(&context);
    SHA1_Update(&context, source.ptr, source.len);
    SHA1_Final(digest, &context);
    for (unsigned i = 0; i < SHA_DIGEST_LENGTH; i++) {
        script->sha1[2 * i] = digits[digest[i] >> 4];
        script->sha1[2 * i + 1] = digits[digest[i] & 15];
    }
    script->sha1[sizeof(script->sha1) - 1] = '\0';
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void leave(struct store_command *command)
{
    struct timers *timers = &command->cluster->ground->loop->timers;

    PRE(command->is_active);
    if (!list_is_alone(&command->request.node))
        list_remove(&command->request.node);
    if (!list_is_alone(&command->asking.node))
        list_remove(&command->asking.node);
    list_remove(&command->member);
    loop_undefer(&command->mail);
    if (command->timer.fn != NULL)
        timer_fini(timers, &command->timer);
    mem_free(command->words);
    command->words = NULL;
    command->is_active = false;
}

static void over(struct store_command *command, enum store_fault fault, const struct store_reply *reply,
                 const char *why)
{
    leave(command);
    command->fn(command, fault, reply, why);
}

static void at_the_end_of_the_turn(struct mail *mail)
{
    struct store_command *command = CONTAINER_OF(mail, struct store_command, mail);

    over(command, command->fault, NULL, command->why);
}

static void fail_later(struct store_command *command, enum store_fault fault, const char *why)
{
    command->fault = fault;
    command->why = why;
    loop_defer(command->cluster->ground->loop, &command->mail);
}

/* A sent one takes its connection with it: what may still come must not be another's answer. */
static void is_over(struct timer *timer, int64_t now_ns)
{
    struct store_command *command = CONTAINER_OF(timer, struct store_command, timer);

    (void)now_ns;
    command->is_late = true;
    if (command->is_sent)
        store_link_close(&command->node->link, STORE_LATE, "no answer in time");
    else
        over(command, STORE_AWAY, NULL, "no connection in time");
}

void store_command_cancel(struct store_command *command)
{
    struct store_link *link = command->is_active ? &command->node->link : NULL;

    if (link == NULL)
        return;
    leave(command);
    if (command->is_sent && link->state == STORE_LINK_OPEN)
        store_link_break(link, STORE_AWAY, "a request was given up");
}

void store_commands_forget(struct store_cluster *cluster)
{
    while (!list_is_empty(&cluster->commands))
        leave(CONTAINER_OF(cluster->commands.next, struct store_command, member));
}

/* ---- on its way ---------------------------------------------------------------------------------------- */

static void was_asked(struct store_request *request, const struct store_reply *reply)
{
    (void)request;
    (void)reply; /* what ASKING is answered changes nothing: the command is answered too */
}

static uint32_t put_words(const struct store_command *command, struct span *out, char *number, size_t cap)
{
    const struct store_script *script = command->script;
    uint32_t count = 0;

    if (script != NULL) {
        snprintf(number, cap, "%u", command->key_count);
        out[count++] = command->is_whole ? SPAN_LIT("EVAL") : SPAN_LIT("EVALSHA");
        out[count++] = command->is_whole ? script->source : span_of(script->sha1);
        out[count++] = span_of(number);
    }
    memcpy(&out[count], command->words, command->word_count * sizeof(*out));
    return count + command->word_count;
}

static void transmit(struct store_command *command)
{
    struct span words[STORE_WORDS_MAX + 3];
    const struct span asking[] = {SPAN_LIT("ASKING")};
    struct store_link *link = &command->node->link;
    char number[16];
    uint32_t count = put_words(command, words, number, sizeof(number));
    enum status status = ST_OK;

    if (command->asks)
        status = store_link_send(link, asking, 1, &command->asking);
    if (status == ST_OK)
        status = store_link_send(link, words, count, &command->request);
    command->asks = false;
    if (status != ST_OK) {
        fail_later(command, STORE_SHORTAGE, "not enough memory");
        return;
    }
    command->is_sent = true;
    command->sent_ns = loop_now(command->cluster->ground->loop);
}

static void submit(struct store_command *command, struct store_node *node)
{
    command->node = node;
    command->is_sent = false;
    if (node->is_up && node->link.state == STORE_LINK_OPEN)
        transmit(command);
    else if (node->is_coming)
        list_push_back(&node->waiting, &command->request.node);
    else
        fail_later(command, STORE_AWAY, node->link.why[0] != '\0' ? node->link.why : "no connection");
}

void store_commands_go(struct store_node *node)
{
    struct list_node *first;

    PRE(node->is_up);
    while (node->link.state == STORE_LINK_OPEN && (first = list_take_front(&node->waiting)) != NULL)
        transmit(CONTAINER_OF(first, struct store_command, request.node));
}

void store_commands_fail(struct store_node *node, enum store_fault fault, const char *why)
{
    struct list_node left, *first;

    list_init(&left);
    list_append_all(&left, &node->waiting);
    while ((first = list_take_front(&left)) != NULL)
        over(CONTAINER_OF(first, struct store_command, request.node), fault, NULL, why);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static void go_to(struct store_command *command, enum store_error kind, struct span host, uint16_t port)
{
    char name[STORE_HOST_MAX];
    struct store_place place = {.host = name, .port = port};
    struct store_node *node = NULL;

    if (host.len == 0)
        host = span_of(command->node->link.host);
    snprintf(name, sizeof(name), "%.*s", SPAN_FMT(host));
    if (++command->redirects <= REDIRECTS && host.len > 0 && host.len < sizeof(name))
        node = store_cluster_at(command->cluster, &place);
    if (node == NULL) {
        over(command, STORE_AWAY, NULL, "the cluster's nodes send it to each other, or are too many");
        return;
    }
    if (kind == STORE_ERROR_MOVED && command->key_count > 0)
        store_cluster_learn(command->cluster, store_tag_of(command->words[0]), node);
    command->asks = kind == STORE_ERROR_ASK;
    submit(command, node);
}

static void refused(struct store_command *command, const struct store_reply *error)
{
    char why[160];
    struct text quoted = text_over(why, sizeof(why) - 1);

    text_excerpt(&quoted, error->text);
    why[quoted.len] = '\0';
    over(command, STORE_REFUSED, error, why);
}

/* The master has changed: it is looked for anew, and its name looked up anew. */
static void refused_by_no_master(struct store_command *command, const struct store_reply *error)
{
    struct store_link *link = &command->node->link;
    uint32_t serial = link->serial;

    if (link->host[0] != '\0')
        dns_doubt(link->ground->resolver, link->host);
    refused(command, error);
    if (link->serial == serial)
        store_link_close(link, STORE_AWAY, "it is not the master any more");
}

static void has_failed(struct store_command *command, const struct store_reply *error)
{
    struct span host;
    uint16_t port;
    enum store_error kind = store_error_read(error->text, &host, &port);

    if (kind == STORE_ERROR_NO_SCRIPT && command->script != NULL && !command->is_whole) {
        command->is_whole = true;
        submit(command, command->node);
    } else if (kind == STORE_ERROR_MOVED || kind == STORE_ERROR_ASK) {
        go_to(command, kind, host, port);
    } else if (kind == STORE_ERROR_NO_MASTER) {
        refused_by_no_master(command, error);
    } else {
        refused(command, error);
    }
}

static void was_answered(struct store_request *request, const struct store_reply *reply)
{
    struct store_command *command = CONTAINER_OF(request, struct store_command, request);
    struct store_link *link = &command->node->link;

    if (reply == NULL) {
        bool is_another_s = link->fault == STORE_LATE && !command->is_late;

        over(command, is_another_s ? STORE_AWAY : link->fault, NULL, link->why);
    } else if (reply->kind == STORE_ERROR) {
        has_failed(command, reply);
    } else {
        over(command, STORE_FINE, reply, "");
    }
}

/* ---- the beginning ------------------------------------------------------------------------------------- */

void store_command_start(struct store_command *command, struct store_cluster *cluster,
                         const struct store_words *words, int64_t limit_ns, store_fn fn)
{
    struct loop *loop = cluster->ground->loop;

    PRE(!command->is_active && words->key_count + words->word_count <= STORE_WORDS_MAX);
    *command = (struct store_command){.request.fn = was_answered,
                                      .asking.fn = was_asked,
                                      .cluster = cluster,
                                      .node = &cluster->nodes[0],
                                      .fn = fn,
                                      .script = words->script,
                                      .word_count = words->key_count + words->word_count,
                                      .key_count = words->key_count,
                                      .is_active = true};
    mail_init(&command->mail, at_the_end_of_the_turn);
    list_push_back(&cluster->commands, &command->member);
    command->words = store_words_copy(words->keys, words->key_count, words->words, words->word_count);
    if (command->words == NULL || timer_init(&loop->timers, &command->timer, is_over) != ST_OK) {
        fail_later(command, STORE_SHORTAGE, "not enough memory");
        return;
    }
    timer_set(&loop->timers, &command->timer,
              loop_now(loop) + (limit_ns > 0 ? limit_ns : cluster->ground->spec->timeout_ns));
    submit(command, command->key_count > 0 ? store_cluster_find(cluster, store_tag_of(command->words[0]))
                                           : &cluster->nodes[0]);
}
