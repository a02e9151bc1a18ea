#ifndef CURFEW_RUNTIME_CERTIFICATE_H
#define CURFEW_RUNTIME_CERTIFICATE_H

#include <stdint.h>

#include "base/status.h"

/*
 * Until when the certificates of a PEM file are good (Unix time): the first of them to expire, which ends a chain, and
 * the last, which ends a bundle of authorities. ST_BAD: there is none, or it can't be read.
 */
enum status certificate_ends(const char *path, int64_t *first_s, int64_t *last_s) MUST_CHECK;

#endif
