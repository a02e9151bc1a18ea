#include "admin/respond.h"

#include <stdbool.h>
#include <stdio.h>

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200: return "OK";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 421: return "Misdirected Request";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

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
    evhttp_send_reply(request, status, reason_phrase(status), content);
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

static int put_piece(const char *bytes, size_t len, void *content)
{
    return evbuffer_add(content, bytes, len);
}

/* As many digits as a double is sure to have: 0.087116, not 0.087115999999999999. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* False: no memory, and nothing was answered. */
static bool respond_value(struct evhttp_request *request, int status, const char *type, const json_t *value)
{
    struct evbuffer *content = evbuffer_new();
    bool written = value && content && json_dump_callback(value, put_piece, content, JSON_FLAGS) == 0 &&
                   evbuffer_add(content, "\n", 1) == 0;

    if (written)
        respond(request, status, type, content);
    if (content)
        evbuffer_free(content);
    return written;
}

void respond_json(struct evhttp_request *request, int status, json_t *value)
{
    if (!respond_value(request, status, "application/json", value))
        respond_problem(request, 500, "There is not enough memory for this answer.");
    json_decref(value);
}

void respond_problem(struct evhttp_request *request, int status, const char *detail)
{
    const char *type = "application/problem+json";
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", reason_phrase(status),
                                "status", status, "detail", detail);

    if (!respond_value(request, status, type, problem))
        respond(request, status, type, NULL);
    json_decref(problem);
}
