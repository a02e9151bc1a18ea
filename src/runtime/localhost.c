#include "runtime/localhost.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct dns_answer *localhost_answer_new(void)
{
    struct dns_answer *answer = mem_zalloc(sizeof(*answer) + 2 * sizeof(answer->addresses[0]));

    if (answer == NULL)
        return NULL;
    answer->references = 1;
    answer->count = 2;
    answer->addresses[0].v4 = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    answer->addresses[1].v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6,
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    return answer;
}

bool localhost_is(const char *host)
{
    static const char name[] = "localhost";
    size_t name_len = sizeof(name) - 1;
    size_t len = strlen(host);

    if (len != 0 && host[len - 1] == '.')
        len--;
    if (len < name_len || strncasecmp(host + len - name_len, name, name_len) != 0)
        return false;
    return len == name_len || host[len - name_len - 1] == '.';
}
