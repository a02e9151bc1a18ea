#ifndef CURFEW_RUNTIME_DNS_CHANNELS_H
#define CURFEW_RUNTIME_DNS_CHANNELS_H

#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "core/resolv_conf.h"
#include "runtime/dns_channel.h"

/* Channels between lookups: a few are kept, for one takes some 100 KB to make. One thread. */
struct dns_channels {
    struct loop *loop;
    char *servers;         /* as in dns_channel_new */
    struct list_node idle; /* latest used first */
    uint32_t count;
};

void dns_channels_init(struct dns_channels *channels, struct loop *loop);
void dns_channels_fini(struct dns_channels *channels);

/* As dns_channel_new. */
struct dns_channel *dns_channels_take(struct dns_channels *channels, const struct resolv_conf *conf);
/* Ends what is under way in it. One that has lacked something is not used again. */
void dns_channels_give_back(struct dns_channels *channels, struct dns_channel *channel);
/* The servers are others now: what is idle is not used again. */
void dns_channels_drop(struct dns_channels *channels);
/* For tests: these servers, and not the system's. */
enum status dns_channels_set_servers(struct dns_channels *channels, const char *servers) MUST_CHECK;

#endif
