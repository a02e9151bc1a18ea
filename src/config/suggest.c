#include "config/suggest.h"

#include "base/json.h"

/* Longer words get no suggestion, and are none. */
#define WORD_MAX 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that turn the first i characters of a into the first j of b: three rows of the usual table. */
static size_t edit_distance(struct span a, struct span b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.len; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

struct suggestion suggest_for(struct span word)
{
    return (struct suggestion){.word = word, .distance = word.len < 4 ? 1 : word.len < 9 ? 2 : 3};
}

void suggest_offer(struct suggestion *suggestion, struct span candidate)
{
    size_t distance;

    if (suggestion->word.len > WORD_MAX || candidate.len > WORD_MAX || candidate.len == 0)
        return;
    distance = edit_distance(suggestion->word, candidate);
    if (distance < suggestion->distance || (distance == suggestion->distance && suggestion->best.len == 0)) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}

struct suggestion_text suggest_text(const struct suggestion *suggestion)
{
    struct suggestion_text text = {""};
    struct text out = text_over(text.text, sizeof(text.text) - 1);

    if (suggestion->best.len != 0) {
        TEXT_LIT(&out, "; did you mean ");
        jsonw_quote(&out, suggestion->best);
        TEXT_LIT(&out, "?");
    }
    return text;
}
