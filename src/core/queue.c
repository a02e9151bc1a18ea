#include "core/queue.h"

#include "base/invariant.h"

void queue_init(struct queue *queue)
{
    *queue = (struct queue){.length = 0};
    list_init(&queue->line);
}

static struct queue_place *place_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct queue_place, node);
}

void queue_push(struct queue *queue, struct queue_place *place)
{
    struct queue_shares *shares = queue->shares;

    queue->length++;
    if (shares == NULL) {
        list_push_back(&queue->line, &place->node);
        return;
    }
    PRE(place->bucket < QUEUE_BUCKETS);
    list_push_back(&shares->buckets[place->bucket], &place->node);
    shares->lengths[place->bucket]++;
    shares->filled |= UINT64_C(1) << place->bucket;
}

void queue_remove(struct queue *queue, struct queue_place *place)
{
    struct queue_shares *shares = queue->shares;

    PRE(queue->length > 0 && !list_is_empty(&place->node));
    queue->length--;
    list_remove(&place->node);
    if (shares == NULL)
        return;
    PRE(shares->lengths[place->bucket] > 0);
    if (--shares->lengths[place->bucket] == 0)
        shares->filled &= ~(UINT64_C(1) << place->bucket);
}

/* The first bucket with waiters, from `turn` on. */
static uint32_t next_bucket(const struct queue_shares *shares)
{
    uint64_t behind = shares->filled >> shares->turn;

    PRE(shares->filled != 0 && shares->turn < QUEUE_BUCKETS);
    return behind != 0 ? shares->turn + (uint32_t)__builtin_ctzll(behind)
                       : (uint32_t)__builtin_ctzll(shares->filled);
}

struct queue_place *queue_take(struct queue *queue)
{
    struct queue_shares *shares = queue->shares;
    struct list_node *line = &queue->line;
    struct queue_place *first;

    if (queue->length == 0)
        return NULL;
    if (shares != NULL) {
        uint32_t bucket = next_bucket(shares);

        line = &shares->buckets[bucket];
        shares->turn = (bucket + 1) % QUEUE_BUCKETS;
    }
    first = place_of(line->next);
    queue_remove(queue, first);
    return first;
}

struct queue_shares *queue_share(struct queue *queue, struct queue_shares *shares)
{
    struct queue_shares *before = queue->shares;
    struct list_node waiters;
    struct queue_place *place;
    struct list_node *node;

    list_init(&waiters);
    while ((place = queue_take(queue)) != NULL)
        list_push_back(&waiters, &place->node);
    queue->shares = shares;
    if (shares != NULL) {
        *shares = (struct queue_shares){.turn = 0};
        for (uint32_t i = 0; i < QUEUE_BUCKETS; i++)
            list_init(&shares->buckets[i]);
    }
    while ((node = list_take_front(&waiters)) != NULL)
        queue_push(queue, place_of(node));
    return before;
}

/* Of a bucket that has `length` waiters, how many are served before the one that has `own` of its own bucket ahead? */
static uint32_t served_before(uint32_t length, uint32_t own, bool is_before)
{
    uint32_t rounds = own + is_before;

    return length < rounds ? length : rounds;
}

uint32_t queue_ahead(const struct queue *queue, uint8_t bucket)
{
    const struct queue_shares *shares = queue->shares;
    uint32_t ahead, own;

    if (shares == NULL)
        return queue->length;
    PRE(bucket < QUEUE_BUCKETS);
    ahead = own = shares->lengths[bucket];
    for (uint32_t i = 0; i < QUEUE_BUCKETS; i++) {
        uint32_t away = (i - shares->turn) % QUEUE_BUCKETS,
                 own_away = (bucket - shares->turn) % QUEUE_BUCKETS;

        if (i != bucket)
            ahead += served_before(shares->lengths[i], own, away < own_away);
    }
    POST(ahead <= queue->length);
    return ahead;
}

struct queue_place *queue_yielding(const struct queue *queue, uint8_t bucket)
{
    const struct queue_shares *shares = queue->shares;
    uint32_t longest = bucket;

    if (shares == NULL)
        return NULL;
    for (uint32_t i = 0; i < QUEUE_BUCKETS; i++)
        if (shares->lengths[i] > shares->lengths[longest] + (longest == bucket))
            longest = i;
    return longest == bucket ? NULL : place_of(shares->buckets[longest].prev);
}

static void sweep_line(struct queue *queue, struct list_node *line,
                       bool (*fits)(const struct queue_place *place, void *arg), void *arg,
                       struct list_node *out)
{
    struct list_node *next = line->next;

    while (next != line) {
        struct queue_place *place = place_of(next);

        next = next->next;
        if (fits(place, arg))
            continue;
        queue_remove(queue, place);
        list_push_back(out, &place->node);
    }
}

void queue_sweep(struct queue *queue, bool (*fits)(const struct queue_place *place, void *arg), void *arg,
                 struct list_node *out)
{
    sweep_line(queue, &queue->line, fits, arg, out);
    for (uint32_t i = 0; queue->shares != NULL && i < QUEUE_BUCKETS; i++)
        sweep_line(queue, &queue->shares->buckets[i], fits, arg, out);
}

bool queue_ends(const struct queue *queue, struct queue_place **first, struct queue_place **last)
{
    const struct list_node *line = &queue->line;

    if (queue->length == 0)
        return false;
    if (queue->shares != NULL)
        line = &queue->shares->buckets[next_bucket(queue->shares)];
    *first = place_of(line->next);
    *last = place_of(line->prev);
    return true;
}

static uint32_t count(const struct list_node *line)
{
    uint32_t length = 0;

    LIST_FOREACH(node, line)
        length++;
    return length;
}

bool queue_is_sound(const struct queue *queue)
{
    const struct queue_shares *shares = queue->shares;
    uint32_t length = count(&queue->line);

    if (shares == NULL)
        return length == queue->length;
    for (uint32_t i = 0; i < QUEUE_BUCKETS; i++) {
        if (count(&shares->buckets[i]) != shares->lengths[i] ||
            (shares->filled >> i & 1) != (shares->lengths[i] != 0))
            return false;
        length += shares->lengths[i];
    }
    return list_is_empty(&queue->line) && length == queue->length;
}
