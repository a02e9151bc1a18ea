#include "http/http1.h"

/* Methods are told apart by case (RFC 9110 9.1). */
enum http1_method http1_method_of(struct span name)
{
#define IS(text, id)                                                                                         \
    if (memcmp(name.ptr, text, sizeof(text) - 1) == 0)                                                       \
    return HTTP1_##id
    switch (name.len) {
    case 3:
        IS("GET", GET);
        IS("PUT", PUT);
        break;
    case 4:
        IS("POST", POST);
        IS("HEAD", HEAD);
        break;
    case 5:
        IS("PATCH", PATCH);
        IS("TRACE", TRACE);
        break;
    case 6: IS("DELETE", DELETE); break;
    case 7:
        IS("OPTIONS", OPTIONS);
        IS("CONNECT", CONNECT);
        break;
    default: break;
    }
#undef IS
    return HTTP1_METHOD_OTHER;
}

bool http1_method_is_safe(enum http1_method method)
{
    return method == HTTP1_GET || method == HTTP1_HEAD || method == HTTP1_OPTIONS || method == HTTP1_TRACE;
}

bool http1_method_is_idempotent(enum http1_method method)
{
    switch (method) {
    case HTTP1_GET:
    case HTTP1_HEAD:
    case HTTP1_PUT:
    case HTTP1_DELETE:
    case HTTP1_OPTIONS:
    case HTTP1_TRACE: return true;
    default: return false;
    }
}
