#include "http/http1.h"

/* RFC 9110 15, RFC 6585, and 425 (RFC 8470). */
static const char *const informational[] = {"Continue", "Switching Protocols", "Processing", "Early Hints"};
static const char *const success[] = {
    "OK",
    "Created",
    "Accepted",
    "Non-Authoritative Information",
    "No Content",
    "Reset Content",
    "Partial Content",
    "Multi-Status",
    "Already Reported",
};
static const char *const redirection[] = {
    "Multiple Choices",   "Moved Permanently",  "Found", "See Other", "Not Modified", "Use Proxy", "Unused",
    "Temporary Redirect", "Permanent Redirect",
};
static const char *const caller_error[] = {
    "Bad Request",
    "Unauthorized",
    "Payment Required",
    "Forbidden",
    "Not Found",
    "Method Not Allowed",
    "Not Acceptable",
    "Proxy Authentication Required",
    "Request Timeout",
    "Conflict",
    "Gone",
    "Length Required",
    "Precondition Failed",
    "Content Too Large",
    "URI Too Long",
    "Unsupported Media Type",
    "Range Not Satisfiable",
    "Expectation Failed",
    [21] = "Misdirected Request",
    [22] = "Unprocessable Content",
    [23] = "Locked",
    [24] = "Failed Dependency",
    [25] = "Too Early",
    [26] = "Upgrade Required",
    [28] = "Precondition Required",
    [29] = "Too Many Requests",
    [31] = "Request Header Fields Too Large",
    [51] = "Unavailable For Legal Reasons",
};
static const char *const server_error[] = {
    "Internal Server Error",      "Not Implemented",     "Bad Gateway",
    "Service Unavailable",        "Gateway Timeout",     "HTTP Version Not Supported",
    [7] = "Insufficient Storage", [8] = "Loop Detected", [11] = "Network Authentication Required",
};

#define CLASS(names)                                                                                         \
    {                                                                                                        \
        (names), sizeof(names) / sizeof((names)[0])                                                          \
    }
static const struct {
    const char *const *names;
    unsigned count;
} classes[] = {CLASS(informational), CLASS(success), CLASS(redirection), CLASS(caller_error),
               CLASS(server_error)};

const char *http1_reason(uint16_t code)
{
    unsigned class = code / 100U, nth = code % 100U;

    if (class < 1 || class > 5 || nth >= classes[class - 1].count || classes[class - 1].names[nth] == NULL)
        return "Unknown";
    return classes[class - 1].names[nth];
}
