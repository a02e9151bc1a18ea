#include "runtime/store_greeting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "core/store_error.h"

/* Longer than the tokens that clouds give out as passwords. */
#define PASSWORD_MAX 4096u

static struct span without_line_end(struct span text)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.len--;
    if (text.len > 0 && text.ptr[text.len - 1] == '\r')
        text.len--;
    return text;
}

/* NULL, or why it can't be read. */
static const char *read_password(const char *path, char *bytes, size_t cap, struct span *password)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *why = NULL;
    ssize_t len;

    if (fd < 0)
        return strerror(errno);
    len = read(fd, bytes, cap);
    if (len < 0)
        why = strerror(errno);
    else if ((size_t)len == cap)
        why = "longer than 4 KiB";
    else
        *password = without_line_end((struct span){bytes, (size_t)len});
    close(fd);
    if (why == NULL && password->len == 0)
        why = "it is empty";
    return why;
}

/* The words, with the password behind them if there is one. */
static enum status send_with_password(struct store_link *link, struct span *words, uint32_t count,
                                      struct store_request *request)
{
    const struct store_spec *spec = link->ground->spec;
    char bytes[PASSWORD_MAX];
    const char *why = NULL;
    enum status status = ST_BAD;

    if (spec->password_file != NULL)
        why = read_password(spec->password_file, bytes, sizeof(bytes), &words[count++]);
    if (why == NULL)
        status = store_link_send(link, words, count, request);
    explicit_bzero(bytes, sizeof(bytes));
    if (why != NULL)
        store_link_close(link, STORE_LOCKED, "the password's file %s: %s", spec->password_file, why);
    else if (status != ST_OK)
        store_link_close(link, STORE_SHORTAGE, "not enough memory");
    return status == ST_OK ? ST_OK : ST_BAD;
}

static struct span user_of(const struct store_spec *spec)
{
    return spec->user != NULL ? span_of(spec->user) : SPAN_LIT("default");
}

enum status store_greet_anew(struct store_link *link, struct store_request *request)
{
    struct span words[3] = {SPAN_LIT("AUTH"), user_of(link->ground->spec)};

    return send_with_password(link, words, 2, request);
}

void store_greeting_refused(struct store_link *link, const struct store_reply *error)
{
    char block[128];
    struct text quoted = text_over(block, sizeof(block));
    struct span host;
    uint16_t port;
    bool is_locked = store_error_read(error->text, &host, &port) == STORE_ERROR_LOCKED;

    text_excerpt(&quoted, error->text);
    store_link_close(link, is_locked ? STORE_LOCKED : STORE_AWAY, "it said %.*s",
                     SPAN_FMT(text_span(&quoted)));
}

/* HELLO's answer is a list of names and values. */
static struct span value_of(const struct store_reply *reply, struct span name)
{
    for (uint32_t i = 0; reply->kind == STORE_LIST && i + 1 < reply->count; i += 2) {
        if (span_eq(store_reply_text(reply, i), name))
            return store_reply_text(reply, i + 1);
    }
    return SPAN_LIT("");
}

static bool begins_with(struct span text, struct span with)
{
    return text.len >= with.len && memcmp(text.ptr, with.ptr, with.len) == 0;
}

static void said_hello(struct store_request *request, const struct store_reply *reply)
{
    struct store_greeting *greeting = CONTAINER_OF(request, struct store_greeting, hello);
    struct store_link *link = greeting->link;
    struct span role;

    if (reply == NULL)
        return;
    if (reply->kind == STORE_ERROR) {
        if (begins_with(reply->text, SPAN_LIT("ERR unknown command")))
            store_link_close(link, STORE_LOCKED, "it is older than Redis 6.0: it does not know HELLO");
        else
            store_greeting_refused(link, reply);
        return;
    }
    role = value_of(reply, SPAN_LIT("role"));
    if (role.len == 0)
        store_link_close(link, STORE_GARBLED, "its answer to HELLO names no role");
    else if (greeting->wants_master && !span_eq(role, SPAN_LIT("master")) &&
             !span_eq(value_of(reply, SPAN_LIT("mode")), SPAN_LIT("cluster")))
        store_link_close(link, STORE_AWAY, "it is a replica, not the master");
    else if (link->ground->spec->database == 0)
        greeting->done(greeting);
}

static void has_selected(struct store_request *request, const struct store_reply *reply)
{
    struct store_greeting *greeting = CONTAINER_OF(request, struct store_greeting, select);

    if (reply == NULL)
        return;
    if (reply->kind == STORE_ERROR)
        store_greeting_refused(greeting->link, reply);
    else
        greeting->done(greeting);
}

void store_greet(struct store_greeting *greeting, struct store_link *link)
{
    const struct store_spec *spec = link->ground->spec;
    struct span words[7] = {SPAN_LIT("HELLO"), SPAN_LIT("2"), SPAN_LIT("SETNAME"), SPAN_LIT("curfew")};
    uint32_t count = 4;
    char number[16];

    greeting->link = link;
    greeting->hello = (struct store_request){.fn = said_hello};
    greeting->select = (struct store_request){.fn = has_selected};
    if (spec->password_file != NULL) {
        words[count++] = SPAN_LIT("AUTH");
        words[count++] = user_of(spec);
    }
    if (send_with_password(link, words, count, &greeting->hello) != ST_OK || spec->database == 0)
        return;
    snprintf(number, sizeof(number), "%u", spec->database);
    words[0] = SPAN_LIT("SELECT");
    words[1] = span_of(number);
    if (store_link_send(link, words, 2, &greeting->select) != ST_OK)
        store_link_close(link, STORE_SHORTAGE, "not enough memory");
}
