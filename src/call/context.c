#include "call/context.h"

#include <time.h>

#include "base/invariant.h"

struct span context_date(struct call_context *context)
{
    struct text text = text_over(context->date, sizeof(context->date));
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (context->date_s != now.tv_sec) {
        date_put(&text, now.tv_sec);
        POST(text.len == sizeof(context->date));
        context->date_s = now.tv_sec;
    }
    return (struct span){context->date, sizeof(context->date)};
}
