/*
 * locks: put before the C library (LD_PRELOAD), counts how often each mutex is taken, how often another thread has it at
 * that moment, and for how long it is held. At the end of the process it writes into the file LOCKS_OUT a line for each:
 *
 *   OFFSET TAKEN WAITED HELD_NS      OFFSET in the program of who took it first
 *
 * To look at the clock twice takes some 50 ns, and half of that counts as held.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MUTEXES 4096 /* a power of two; what has no place is not counted */
#define DEPTH   8    /* that a thread holds at once */

struct counted {
    _Atomic(pthread_mutex_t *) mutex;
    uintptr_t by;
    uint64_t taken, held_ns; /* by who holds it */
    atomic_ullong waited;
};

struct held {
    struct counted *counted;
    uint64_t since_ns;
};

static struct counted table[MUTEXES];
static __thread struct held stack[DEPTH];
static __thread int depth;

static int (*real_trylock)(pthread_mutex_t *);
static int (*real_lock)(pthread_mutex_t *);
static int (*real_unlock)(pthread_mutex_t *);

static void find_real(void)
{
    real_trylock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_trylock");
    real_unlock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    real_lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct counted *find(pthread_mutex_t *mutex)
{
    size_t at = ((uintptr_t)mutex >> 4) * 0x9e3779b97f4a7c15u >> 52;

    for (size_t i = 0; i < MUTEXES; i++) {
        struct counted *one = &table[(at + i) % MUTEXES];
        pthread_mutex_t *none = NULL;

        if (atomic_load(&one->mutex) == mutex || atomic_compare_exchange_strong(&one->mutex, &none, mutex) ||
            none == mutex)
            return one;
    }
    return NULL;
}

static void begin(struct counted *counted, uintptr_t by)
{
    if (counted == NULL)
        return;
    if (counted->taken++ == 0)
        counted->by = by;
    if (depth < DEPTH)
        stack[depth++] = (struct held){counted, now_ns()};
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    struct counted *counted;
    int result;

    if (real_lock == NULL)
        find_real();
    counted = find(mutex);
    result = real_trylock(mutex);
    if (result == EBUSY) {
        if (counted != NULL)
            atomic_fetch_add(&counted->waited, 1);
        result = real_lock(mutex);
    }
    if (result == 0)
        begin(counted, (uintptr_t)__builtin_return_address(0));
    return result;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (real_unlock == NULL)
        find_real();
    for (int i = depth; i-- > 0;) {
        if (atomic_load(&stack[i].counted->mutex) != mutex)
            continue;
        stack[i].counted->held_ns += now_ns() - stack[i].since_ns;
        for (depth--; i < depth; i++)
            stack[i] = stack[i + 1];
        break;
    }
    return real_unlock(mutex);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("LOCKS_OUT");
    FILE *out = path != NULL ? fopen(path, "w") : NULL;

    if (out == NULL)
        return;
    for (size_t i = 0; i < MUTEXES; i++) {
        if (table[i].taken != 0)
            fprintf(out, "%#lx %lu %llu %lu\n", (unsigned long)(table[i].by - _r_debug.r_map->l_addr),
                    (unsigned long)table[i].taken, atomic_load(&table[i].waited),
                    (unsigned long)table[i].held_ns);
    }
    fclose(out);
}
