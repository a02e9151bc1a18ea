#include "admin/respond.h"

#include <stdio.h>

#include "base/list.h"
#include "http/http1.h"

/* evhttp leaves out the length of what it does not send. */
static void put_length(struct evkeyvalq *fields, size_t bytes)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%zu", bytes);
    evhttp_add_header(fields, "Content-Length", digits);
}

void respond(struct evhttp_request *request, int status, const char *type, struct evbuffer *content)
{
    struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
    size_t bytes = content ? evbuffer_get_length(content) : 0;

    if (evhttp_find_header(fields, "Cache-Control") == NULL)
        evhttp_add_header(fields, "Cache-Control", "no-store");
    evhttp_add_header(fields, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(fields, "Cross-Origin-Resource-Policy", "same-origin");
    if (status != 304) {
        evhttp_add_header(fields, "Content-Type", type);
        put_length(fields, bytes);
    }
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
        content = NULL;
    evhttp_send_reply(request, status, http1_reason((uint16_t)status), content);
}

void respond_text(struct evhttp_request *request, int status, const char *text)
{
    struct evbuffer *content = evbuffer_new();

    if (!content || evbuffer_add_printf(content, "%s", text) < 0)
        status = 500;
    respond(request, status, "text/plain; charset=utf-8", content);
    if (content)
        evbuffer_free(content);
}

static void flush(struct jsonw *json)
{
    struct json_answer *answer = CONTAINER_OF(json, struct json_answer, json);

    if (answer->content == NULL || evbuffer_add(answer->content, answer->block, answer->text.len) < 0)
        answer->is_incomplete = true;
    answer->text.len = 0;
}

struct jsonw *json_answer_begin(struct json_answer *answer)
{
    answer->is_incomplete = false;
    answer->content = evbuffer_new();
    answer->text = text_over(answer->block, sizeof(answer->block));
    answer->json = jsonw_flushed(&answer->text, flush);
    jsonw_open_object(&answer->json, NULL);
    return &answer->json;
}

/* False: no memory, and nothing was answered. */
static bool json_answer_end(struct json_answer *answer, struct evhttp_request *request, int status,
                            const char *type)
{
    jsonw_close_object(&answer->json);
    flush(&answer->json);
    if (answer->content != NULL && evbuffer_add(answer->content, "\n", 1) < 0)
        answer->is_incomplete = true;
    if (!answer->is_incomplete)
        respond(request, status, type, answer->content);
    if (answer->content != NULL)
        evbuffer_free(answer->content);
    return !answer->is_incomplete;
}

void json_answer_send(struct json_answer *answer, struct evhttp_request *request, int without_memory)
{
    if (!json_answer_end(answer, request, 200, "application/json"))
        respond_problem(request, without_memory, "There is not enough memory for this answer.");
}

void respond_problem(struct evhttp_request *request, int status, const char *detail)
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
