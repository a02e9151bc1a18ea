#include "core/store_error.h"

#include "base/number.h"

static struct span next_word(struct span *rest)
{
    const char *space = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
    struct span word = {rest->ptr, space != NULL ? (size_t)(space - rest->ptr) : rest->len};
    size_t taken = word.len + (space != NULL);

    *rest = (struct span){rest->ptr + taken, rest->len - taken};
    return word;
}

/* "HOST:PORT"; an IPv6 address has no brackets there. */
static bool read_node(struct span text, struct span *host, uint16_t *port)
{
    const char *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
    uint64_t number;

    if (colon == NULL)
        return false;
    *host = (struct span){text.ptr, (size_t)(colon - text.ptr)};
    if (number_u64((struct span){colon + 1, text.len - host->len - 1}, &number) != NUMBER_OK || number == 0 ||
        number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return !span_eq(*host, SPAN_LIT("?"));
}

static enum store_error kind_of(struct span word)
{
    static const struct {
        struct span word;
        enum store_error kind;
    } kinds[] = {
        {SPAN_LIT("NOSCRIPT"), STORE_ERROR_NO_SCRIPT},
        {SPAN_LIT("MOVED"), STORE_ERROR_MOVED},
        {SPAN_LIT("ASK"), STORE_ERROR_ASK},
        {SPAN_LIT("READONLY"), STORE_ERROR_NO_MASTER},
        {SPAN_LIT("MASTERDOWN"), STORE_ERROR_NO_MASTER},
        {SPAN_LIT("WRONGPASS"), STORE_ERROR_LOCKED},
        {SPAN_LIT("NOAUTH"), STORE_ERROR_LOCKED},
        {SPAN_LIT("NOPERM"), STORE_ERROR_LOCKED},
        {SPAN_LIT("DENIED"), STORE_ERROR_LOCKED},
    };

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (span_eq(word, kinds[i].word))
            return kinds[i].kind;
    }
    return STORE_ERROR_OTHER;
}

enum store_error store_error_read(struct span text, struct span *host, uint16_t *port)
{
    enum store_error kind = kind_of(next_word(&text));

    *host = SPAN_LIT("");
    *port = 0;
    if (kind != STORE_ERROR_MOVED && kind != STORE_ERROR_ASK)
        return kind;
    (void)next_word(&text); /* the slot */
    return read_node(next_word(&text), host, port) ? kind : STORE_ERROR_OTHER;
}
