#ifndef CURFEW_CONFIG_ADDRESS_H
#define CURFEW_CONFIG_ADDRESS_H

#include "base/endpoint.h"

/*
 * Reads where to listen: "127.0.0.1:8080", "localhost:8080" or "8080" (the same), "[::1]:8080" or "unix:/run/x.sock".
 * *out points into `text`. NULL, or what is wrong with it: a static text.
 */
const char *address_parse(const char *text, struct endpoint *out) __attribute__((warn_unused_result));

#endif
