/* What goes to a caller over HTTP/1.1: heads in front of content, as far as its socket takes them. */
#include <string.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/forward.h"
#include "wire/caller.h"
#include "wire/h1_caller.h"
#include "wire/h1_send.h"

static struct h1_caller *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h1_caller, stream);
}

/* How far what was handed over has gone. */
static void note_progress(struct h1_caller *caller)
{
    const struct h1_turn *turn = &caller->turn;
    size_t waiting = turn->writer.head.len;

    caller->stream.head_waits = waiting != 0;
    caller->stream.answered = waiting < turn->answer_len;
    caller->stream.committed = waiting != turn->answer_len;
}

/*
 * Written next; what waits of heads before is in front of it. The text is scratch: what the caller does not take at
 * once of it is kept. While there is a kept head, all that waits is in it.
 */
static bool put_head(struct h1_turn *turn, struct span text)
{
    struct span waiting = turn->writer.head;
    char *joined;

    if (waiting.len == 0) {
        mem_free(turn->kept_head);
        turn->kept_head = NULL;
        turn->writer.head = text;
        return true;
    }
    joined = mem_alloc(waiting.len + text.len);
    if (joined == NULL)
        return false;
    memcpy(joined, waiting.ptr, waiting.len);
    memcpy(joined + waiting.len, text.ptr, text.len);
    mem_free(turn->kept_head);
    turn->kept_head = joined;
    turn->writer.head = (struct span){joined, waiting.len + text.len};
    return true;
}

static bool keep_unsent_head(struct h1_turn *turn)
{
    struct span rest = turn->writer.head;

    if (rest.len == 0 || turn->kept_head != NULL)
        return true;
    turn->kept_head = mem_dup(rest.ptr, rest.len);
    if (turn->kept_head == NULL)
        return false;
    turn->writer.head.ptr = turn->kept_head;
    return true;
}

/* HTTP/1.0 knows no interim responses (RFC 9110 15.2), and a 100 is for who waits for it. */
static enum stream_result send_interim(struct h1_caller *caller, const struct http1_head *head,
                                       const struct forward_own *own)
{
    struct h1_turn *turn = &caller->turn;
    struct text text = text_over(caller->common->text, caller->common->text_cap);

    if (turn->minor == 0 || (head->code == 100 && !turn->expects_continue))
        return STREAM_OK;
    if (turn->writer.head.len > caller->common->response_head_max)
        return h1_caller_fail(caller, STREAM_BAD, CAUSE_RESPONSE_HEAD_SIZE,
                              "too many interim responses wait for the caller to read");
    forward_response_head(&text, head, (struct forward_framing){HTTP1_NO_CONTENT, false}, turn->minor, true,
                          own);
    if (text.overflow || !put_head(turn, text_span(&text)))
        return STREAM_NOMEM;
    note_progress(caller);
    return STREAM_OK;
}

/* Of another answer, which was handed over before and of which nothing has gone, nothing is left. */
static void drop_unsent_answer(struct h1_turn *turn)
{
    if (turn->answer_len == 0)
        return;
    h1_writer_fini(&turn->writer);
    turn->writer = (struct h1_writer){0};
    turn->answer_len = 0;
}

enum stream_result h1_caller_send_response(struct stream *stream, const struct http1_head *head,
                                           const struct forward_own *own)
{
    struct h1_caller *caller = of(stream);
    struct h1_turn *turn = &caller->turn;
    struct text text = text_over(caller->common->text, caller->common->text_cap);
    struct forward_framing framing;

    if (http1_is_interim(head->code))
        return send_interim(caller, head, own);
    PRE(turn->answer_len == 0 || !stream->committed); /* of final responses there is one */
    drop_unsent_answer(turn);
    framing = forward_response_framing(head, turn->minor);
    /* Whether the rest of the request ever comes, the caller has its answer. */
    if (framing.close || !stream->ended || (stream->asks_to_tunnel && buffer_len(&caller->in) != 0))
        stream->persistent = false;
    forward_response_head(&text, head, framing, turn->minor, stream->persistent, own);
    if (text.overflow)
        return h1_caller_fail(caller, STREAM_BAD, CAUSE_RESPONSE_HEAD_SIZE, NULL);
    if (!put_head(turn, text_span(&text)))
        return STREAM_NOMEM;
    turn->answer_len = (uint32_t)text.len;
    turn->writer.framing = framing.framing;
    note_progress(caller);
    return STREAM_OK;
}

bool h1_caller_keep_response(struct stream *stream)
{
    struct h1_turn *turn = &of(stream)->turn;

    PRE(turn->answer_len != 0);
    return keep_unsent_head(turn);
}

void h1_caller_drop_response(struct stream *stream)
{
    struct h1_caller *caller = of(stream);

    PRE(!stream->committed);
    drop_unsent_answer(&caller->turn);
    note_progress(caller);
}

enum stream_result h1_caller_send(struct stream *stream, const struct stream_piece *piece, size_t *taken)
{
    struct h1_caller *caller = of(stream);
    enum stream_result result;

    PRE(caller->in_use && !stream->lost);
    result = h1_send(stream, &caller->turn.writer, &caller->transport, piece, taken);
    note_progress(caller);
    if (result == STREAM_LOST)
        return h1_caller_fail(caller, STREAM_LOST, CAUSE_CALLER_GONE, NULL);
    if (result == STREAM_OK && piece->last && stream->tunnels)
        transport_end_write(&caller->transport);
    return keep_unsent_head(&caller->turn) ? result : STREAM_NOMEM;
}
