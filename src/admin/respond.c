#include "admin/respond.h"

#include "admin/clients.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/http1.h"

/* The request is over by it, heard or not. */
static void answer_with(struct admin_request *request, struct answer *answer, const char *type)
{
    if (!request_has_line(request, "Cache-Control"))
        request_add_line(request, "Cache-Control", "no-store");
    request_add_line(request, "X-Content-Type-Options", "nosniff");
    request_add_line(request, "Cross-Origin-Resource-Policy", "same-origin");
    answer->is_bare = answer->status == 304;
    if (!answer->is_bare)
        request_add_line(request, "Content-Type", type);
    answer->head_only = request->method == HTTP1_HEAD;
    answer->lines = text_span(&request->lines);
    if (request->client != NULL)
        client_answer(request->client, answer);
    content_fini(&answer->content);
    mem_free(request);
}

void respond(struct admin_request *request, int status, const char *type, struct content *content)
{
    struct answer answer = {.status = (uint16_t)status};

    if (content != NULL) {
        answer.content = *content;
        *content = (struct content){0};
    }
    answer_with(request, &answer, type);
}

void respond_fixed(struct admin_request *request, int status, const char *type, struct span content)
{
    struct answer answer = {.status = (uint16_t)status, .fixed = content};

    answer_with(request, &answer, type);
}

void respond_text(struct admin_request *request, int status, const char *text)
{
    struct content content = {0};

    content_add(&content, span_of(text));
    if (content.is_incomplete)
        content_fini(&content);
    respond(request, content.bytes != NULL ? status : 500, "text/plain; charset=utf-8", &content);
}

static void flush(struct jsonw *json)
{
    struct json_answer *answer = CONTAINER_OF(json, struct json_answer, json);

    content_add(&answer->content, text_span(&answer->text));
    answer->text.len = 0;
}

struct jsonw *json_answer_begin(struct json_answer *answer)
{
    answer->content = (struct content){0};
    answer->text = text_over(answer->block, sizeof(answer->block));
    answer->json = jsonw_flushed(&answer->text, flush);
    jsonw_open_object(&answer->json, NULL);
    return &answer->json;
}

/* False: no memory, and nothing was answered. */
static bool json_answer_end(struct json_answer *answer, struct admin_request *request, int status,
                            const char *type)
{
    jsonw_close_object(&answer->json);
    flush(&answer->json);
    content_add(&answer->content, SPAN_LIT("\n"));
    if (answer->content.is_incomplete) {
        content_fini(&answer->content);
        return false;
    }
    respond(request, status, type, &answer->content);
    return true;
}

void json_answer_send(struct json_answer *answer, struct admin_request *request, int without_memory)
{
    if (!json_answer_end(answer, request, 200, "application/json"))
        respond_problem(request, without_memory, "There is not enough memory for this answer.");
}

void respond_problem(struct admin_request *request, int status, const char *detail)
{
    const char *type = "application/problem+json";
    struct json_answer answer;
    struct jsonw *json = json_answer_begin(&answer);

    jsonw_text(json, "type", "about:blank");
    jsonw_text(json, "title", http1_reason((uint16_t)status));
    jsonw_i64(json, "status", status);
    jsonw_text(json, "detail", detail);
    if (!json_answer_end(&answer, request, status, type))
        respond(request, status, type, NULL);
}
