#include "config/quote.h"

#include "base/json.h"

/* Bytes of a value that are shown: enough to recognise it. */
#define QUOTE_BYTES 40
#define ELLIPSIS    "\xe2\x80\xa6"

struct quoted quote_text(struct span s)
{
    struct quoted quoted;
    struct text t = text_over(quoted.text, sizeof(quoted.text) - 1);
    bool is_long = s.len > QUOTE_BYTES;

    if (is_long) {
        s.len = QUOTE_BYTES;
        while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
            s.len--;
    }
    jsonw_quote(&t, s);
    if (is_long) {
        t.len--;
        TEXT_LIT(&t, ELLIPSIS "\"");
    }
    quoted.text[t.len] = '\0';
    return quoted;
}
