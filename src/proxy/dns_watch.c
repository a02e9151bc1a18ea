#include "proxy/dns_watch.h"

#include <string.h>
#include <strings.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "base/text.h"
#include "runtime/loop.h"
#include "runtime/socket_address.h"

#define PLACES_MAX 256u
#define QUIET_NS   (60 * NS_PER_S)
#define LINE_BYTES 512

/* Where a name is. What can change is under the lock. */
struct place {
    struct list_node node;
    struct dns_watch *watch;
    struct mail news;
    bool has_news; /* it is on its way to the main thread */
    int64_t told_ns;
    bool is_bridged; /* DNS fails, and that has been told of */
    int64_t bridged_ns;
    struct dns_answer *known; /* a copy of the answer that was told of last */
    char line[LINE_BYTES];
    char host[];
};

static struct dns_answer *copy_of(const struct dns_answer *answer)
{
    size_t size = sizeof(*answer) + answer->count * sizeof(answer->addresses[0]);
    struct dns_answer *copy = mem_alloc(size);

    if (copy == NULL)
        return NULL;
    memcpy(copy, answer, size);
    copy->references = 1;
    return copy;
}

/* ---- telling ------------------------------------------------------------------------------------------- */

static void put_list(struct text *out, const struct dns_answer *answer)
{
    for (uint32_t i = 0; i < answer->count; i++) {
        struct endpoint at;

        text_put(out, i == 0 ? SPAN_LIT("") : SPAN_LIT(", "));
        if (socket_address_read(&answer->addresses[i].any, &at))
            endpoint_put_ip(out, &at);
    }
}

static void write_line(struct place *place, const struct dns_answer *now)
{
    struct text line = text_over(place->line, sizeof(place->line) - 1);

    text_printf(&line, "%s is at ", place->host);
    put_list(&line, now);
    TEXT_LIT(&line, " now, it was at ");
    put_list(&line, place->known);
    place->line[line.len] = '\0';
}

static void tell(struct mail *mail)
{
    struct place *place = CONTAINER_OF(mail, struct place, news);
    struct dns_watch *watch = place->watch;
    char line[LINE_BYTES];

    pthread_mutex_lock(&watch->lock);
    memcpy(line, place->line, sizeof(line));
    place->has_news = false;
    pthread_mutex_unlock(&watch->lock);
    watch->log(watch->arg, line);
}

/* ---- knowing ------------------------------------------------------------------------------------------- */

static void free_place(struct place *place)
{
    list_remove(&place->node);
    dns_answer_release(&place->known);
    mem_free(place);
}

/* Makes room, unless there is news of the one that has been looked up least recently. */
static bool has_room(struct dns_watch *watch)
{
    struct place *last;

    if (watch->count < PLACES_MAX)
        return true;
    last = CONTAINER_OF(watch->places.prev, struct place, node);
    if (last->has_news)
        return false;
    PRE(list_is_empty(&last->news.node)); /* its mail is not on its way */
    free_place(last);
    watch->count--;
    return true;
}

static void add_place(struct dns_watch *watch, const char *host, const struct dns_answer *answer,
                      int64_t now_ns)
{
    size_t size = strlen(host) + 1;
    struct place *place = has_room(watch) ? mem_zalloc(sizeof(*place) + size) : NULL;

    if (place == NULL)
        return;
    place->known = copy_of(answer);
    if (place->known == NULL) {
        mem_free(place);
        return;
    }
    place->watch = watch;
    place->told_ns = place->bridged_ns = now_ns - QUIET_NS;
    mail_init(&place->news, tell);
    memcpy(place->host, host, size);
    list_push_front(&watch->places, &place->node);
    watch->count++;
    POST(watch->count <= PLACES_MAX);
}

static struct place *find_place(const struct dns_watch *watch, const char *host)
{
    LIST_FOREACH(node, &watch->places) {
        struct place *place = CONTAINER_OF(node, struct place, node);

        if (strcasecmp(place->host, host) == 0)
            return place;
    }
    return NULL;
}

/* True: there is news to post. */
static bool note_change(struct place *place, const struct dns_answer *answer, int64_t now_ns)
{
    struct dns_answer *copy;

    if (place->has_news || now_ns - place->told_ns < QUIET_NS || dns_answer_is_same(answer, place->known))
        return false;
    copy = copy_of(answer);
    if (copy == NULL)
        return false;
    write_line(place, answer);
    dns_answer_release(&place->known);
    place->known = copy;
    place->told_ns = now_ns;
    place->has_news = true;
    return true;
}

static void put_line(struct place *place, const char *before, const char *why, const char *after)
{
    struct text line = text_over(place->line, sizeof(place->line));

    PRE(!place->has_news); /* the main thread may be reading the line that it has */
    text_printf(&line, "%s%s%s%s", place->host, before, why, after);
    place->line[line.len] = '\0';
    place->has_news = true;
}

/* True: there is news to post. */
static bool note_failure(struct place *place, const struct dns_news *news, int64_t now_ns)
{
    if (!news->is_bridged || place->is_bridged || place->has_news || now_ns - place->bridged_ns < QUIET_NS)
        return false;
    put_line(place, " can't be looked up (", news->why, "): its last addresses are used");
    place->is_bridged = true;
    place->bridged_ns = now_ns;
    return true;
}

static bool note_answer(struct place *place, const struct dns_answer *answer, int64_t now_ns)
{
    if (place->is_bridged && !place->has_news && dns_answer_is_same(answer, place->known)) {
        place->is_bridged = false;
        put_line(place, " can be looked up again", "", "");
        return true;
    }
    if (!note_change(place, answer, now_ns))
        return false;
    place->is_bridged = false;
    return true;
}

void dns_watch_note(struct dns_watch *watch, const struct dns_news *news, int64_t now_ns)
{
    struct place *place;
    bool post = false;

    if (watch->log == NULL)
        return;
    pthread_mutex_lock(&watch->lock);
    place = find_place(watch, news->host);
    if (place != NULL) {
        list_remove(&place->node);
        list_push_front(&watch->places, &place->node);
        post = news->answer != NULL ? note_answer(place, news->answer, now_ns)
                                    : note_failure(place, news, now_ns);
    } else if (news->answer != NULL) {
        add_place(watch, news->host, news->answer, now_ns);
    }
    pthread_mutex_unlock(&watch->lock);
    if (post)
        mailbox_post(watch->home, &place->news);
}

void dns_watch_init(struct dns_watch *watch, struct mailbox *home, dns_watch_log_fn log, void *arg)
{
    *watch = (struct dns_watch){.lock = PTHREAD_MUTEX_INITIALIZER, .home = home, .log = log, .arg = arg};
    list_init(&watch->places);
}

void dns_watch_fini(struct dns_watch *watch)
{
    while (!list_is_empty(&watch->places))
        free_place(CONTAINER_OF(watch->places.next, struct place, node));
    pthread_mutex_destroy(&watch->lock);
}
