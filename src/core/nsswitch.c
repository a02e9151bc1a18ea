#include "core/nsswitch.h"

#include <string.h>

#include "base/invariant.h"
#include "core/lines.h"

#define ALL (NAME_NOT_FOUND | NAME_UNAVAILABLE | NAME_TRY_AGAIN)

static struct nsswitch_step *add(struct nsswitch *nsswitch, enum names_source source)
{
    for (uint32_t i = 0; i < nsswitch->count; i++)
        if (nsswitch->steps[i].source == source)
            return NULL;
    POST(nsswitch->count <
         SOURCE_COUNT); /* each source is there once at most, so there is room for this one */
    nsswitch->steps[nsswitch->count] = (struct nsswitch_step){.source = source};
    return &nsswitch->steps[nsswitch->count++];
}

/* The step whose actions may follow; NULL: none that is new. */
static struct nsswitch_step *add_service(struct nsswitch *nsswitch, struct span service)
{
    if (span_eq_nocase(service, SPAN_LIT("files")))
        return add(nsswitch, SOURCE_FILES);
    if (span_eq_nocase(service, SPAN_LIT("dns")))
        return add(nsswitch, SOURCE_DNS);
    if (!span_eq_nocase(service, SPAN_LIT("resolve")))
        return NULL;
    (void)add(nsswitch, SOURCE_FILES); /* its actions are those of the last step */
    return add(nsswitch, SOURCE_DNS);
}

static unsigned status_of(struct span word)
{
    if (span_eq_nocase(word, SPAN_LIT("NOTFOUND")))
        return NAME_NOT_FOUND;
    if (span_eq_nocase(word, SPAN_LIT("UNAVAIL")))
        return NAME_UNAVAILABLE;
    return span_eq_nocase(word, SPAN_LIT("TRYAGAIN")) ? NAME_TRY_AGAIN : 0;
}

/* "NOTFOUND=return", or "!UNAVAIL=return": whatever it is but that. */
static void read_action(struct nsswitch_step *step, struct span word)
{
    const char *equals = memchr(word.ptr, '=', word.len);
    bool is_all_but = word.len != 0 && word.ptr[0] == '!';
    struct span status = {word.ptr + is_all_but, 0}, action;
    unsigned bits;

    if (equals == NULL)
        return;
    status.len = (size_t)(equals - status.ptr);
    action = (struct span){equals + 1, word.len - (size_t)(equals + 1 - word.ptr)};
    bits = status_of(status);
    if (is_all_but)
        bits = ALL & ~bits;
    if (span_eq_nocase(action, SPAN_LIT("return")))
        step->returns |= bits;
    else
        step->returns &= ~bits;
}

/* Takes "[…]" off *line: brackets hold actions, with or without blanks between them. */
static void read_actions(struct nsswitch_step *step, struct span *line)
{
    const char *end = memchr(line->ptr, ']', line->len);
    size_t len = end != NULL ? (size_t)(end - line->ptr) : line->len;
    struct span actions = {line->ptr + 1, len - 1}, word;

    while (lines_next_word(&actions, &word))
        if (step != NULL)
            read_action(step, word);
    if (end != NULL)
        len++;
    line->ptr += len;
    line->len -= len;
}

static void read_services(struct nsswitch *nsswitch, struct span line)
{
    struct nsswitch_step *step = NULL;

    while (line.len != 0) {
        size_t len = 0;

        if (line.ptr[0] == '[') {
            read_actions(step, &line);
            continue;
        }
        while (len < line.len && line.ptr[len] != '[' && line.ptr[len] != ' ' && line.ptr[len] != '\t' &&
               line.ptr[len] != '\r')
            len++;
        if (len != 0)
            step = add_service(nsswitch, (struct span){line.ptr, len});
        else
            len = 1;
        line.ptr += len;
        line.len -= len;
    }
}

void nsswitch_read(struct nsswitch *nsswitch, struct span text)
{
    static const char key[] = "hosts:";
    struct span line;

    *nsswitch = (struct nsswitch){0};
    while (lines_next(&text, "#", &line)) {
        line = span_trim(line);
        if (line.len < sizeof(key) - 1 || memcmp(line.ptr, key, sizeof(key) - 1) != 0)
            continue;
        nsswitch->count = 0;
        read_services(nsswitch, (struct span){line.ptr + sizeof(key) - 1, line.len - (sizeof(key) - 1)});
    }
    if (nsswitch->count == 0) {
        (void)add(nsswitch, SOURCE_FILES);
        (void)add(nsswitch, SOURCE_DNS);
    }
}
