#ifndef CURFEW_RUNTIME_DNS_SYSTEM_H
#define CURFEW_RUNTIME_DNS_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/status.h"
#include "core/ip.h"
#include "core/nsswitch.h"
#include "core/resolv_conf.h"

/*
 * How this system resolves names: /etc/resolv.conf, /etc/nsswitch.conf and /etc/hosts. Files that change, or are
 * written late, are noticed by their state, which is looked at each time: a microsecond for three of them. One
 * thread.
 */
enum { SYSTEM_RESOLV_CONF, SYSTEM_NSSWITCH, SYSTEM_HOSTS, SYSTEM_FILES };

struct dns_system {
    struct resolv_conf resolv;
    struct nsswitch nsswitch;
    bool is_read;
    struct file_state {
        dev_t device;
        ino_t number;
        off_t size;
        struct timespec changed;
    } states[SYSTEM_FILES];
};

/*
 * Reads what has changed. *changed: something had been read before, and is another one now. ST_FAILED: a file could not
 * be read for want of descriptors or memory (errno); what was read before is still good, if there is any.
 */
enum status dns_system_refresh(struct dns_system *system, bool *changed) MUST_CHECK;

/* The hosts file's addresses of a name; *count 0: it has none. ST_FAILED as above. */
enum status dns_system_find_host(const char *host, struct ip *out, uint32_t max, uint32_t *count) MUST_CHECK;

#endif
