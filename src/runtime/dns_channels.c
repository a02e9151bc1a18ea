#include "runtime/dns_channels.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

#define IDLE_MAX 4u

void dns_channels_init(struct dns_channels *channels, struct loop *loop)
{
    *channels = (struct dns_channels){.loop = loop};
    list_init(&channels->idle);
}

void dns_channels_fini(struct dns_channels *channels)
{
    dns_channels_drop(channels);
    mem_free(channels->servers);
}

struct dns_channel *dns_channels_take(struct dns_channels *channels, const struct resolv_conf *conf)
{
    struct list_node *node = list_take_front(&channels->idle);

    if (node == NULL)
        return dns_channel_new(channels->loop, conf, channels->servers);
    PRE(channels->count > 0);
    channels->count--;
    return CONTAINER_OF(node, struct dns_channel, node);
}

void dns_channels_give_back(struct dns_channels *channels, struct dns_channel *channel)
{
    dns_channel_cancel(channel);
    if (channels->count == IDLE_MAX || !dns_channel_is_good(channel)) {
        dns_channel_free(channel);
        return;
    }
    list_push_front(&channels->idle, &channel->node);
    channels->count++;
    POST(channels->count <= IDLE_MAX);
}

void dns_channels_drop(struct dns_channels *channels)
{
    struct list_node *node;

    while ((node = list_take_front(&channels->idle)) != NULL)
        dns_channel_free(CONTAINER_OF(node, struct dns_channel, node));
    channels->count = 0;
}

enum status dns_channels_set_servers(struct dns_channels *channels, const char *servers)
{
    char *copy = mem_dup(servers, strlen(servers));

    if (copy == NULL)
        return ST_NOMEM;
    mem_free(channels->servers);
    channels->servers = copy;
    dns_channels_drop(channels);
    return ST_OK;
}
