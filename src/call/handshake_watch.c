#include "call/handshake_watch.h"

#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/text.h"

static void tell(struct mail *mail)
{
    struct handshake_watch *watch = CONTAINER_OF(mail, struct handshake_watch, news);
    struct handshake_line lines[HANDSHAKE_LINES];
    uint32_t count;

    pthread_mutex_lock(&watch->lock);
    count = watch->line_count;
    memcpy(lines, watch->lines, count * sizeof(lines[0]));
    watch->line_count = 0;
    pthread_mutex_unlock(&watch->lock);
    for (uint32_t i = 0; i < count; i++)
        watch->say(watch->arg, lines[i].is_routine, lines[i].text);
}

/* True: there is news to post. */
static bool add_line(struct handshake_watch *watch, const struct failed_handshake *failed, int64_t now_ns)
{
    struct handshake_line *line = &watch->lines[watch->line_count];
    struct text text = text_over(line->text, sizeof(line->text) - 1);
    uint64_t left_out;

    if (watch->line_count == HANDSHAKE_LINES) {
        watch->complaints.left_out++;
        return false;
    }
    text_printf(&text, "upstream %s: TLS handshake of ", failed->upstream);
    text_put(&text, failed->caller.len != 0 ? failed->caller : SPAN_LIT("unix"));
    text_printf(&text, " failed: %s", failed->why);
    if (!complaints_may_tell(&watch->complaints, hash_bytes(HASH_OF_NOTHING, text.ptr, text.len), now_ns,
                             &left_out))
        return false;
    if (left_out != 0)
        text_printf(&text, " (since the last such line, %" PRIu64 " more have failed)", left_out);
    line->text[text.len] = '\0';
    line->is_routine = failed->is_routine;
    return watch->line_count++ == 0;
}

void handshake_watch_note(struct handshake_watch *watch, const struct failed_handshake *failed,
                          int64_t now_ns)
{
    bool has_news;

    if (watch->say == NULL)
        return;
    pthread_mutex_lock(&watch->lock);
    has_news = add_line(watch, failed, now_ns);
    pthread_mutex_unlock(&watch->lock);
    if (has_news)
        mailbox_post(watch->home, &watch->news);
}

void handshake_watch_init(struct handshake_watch *watch, struct mailbox *home, handshake_watch_fn say,
                          void *arg)
{
    *watch =
        (struct handshake_watch){.lock = PTHREAD_MUTEX_INITIALIZER, .home = home, .say = say, .arg = arg};
    mail_init(&watch->news, tell);
}

void handshake_watch_fini(struct handshake_watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
}
