#include "core/trust.h"

static void move_up(int64_t *time_ns, int64_t to_ns)
{
    if (to_ns > *time_ns)
        *time_ns = to_ns;
}

static void note_slow(struct doubt *doubt, int64_t sent_ns, int64_t now_ns)
{
    if (sent_ns <= doubt->slow_ns)
        return;
    doubt->slow_ns = sent_ns;
    doubt->noticed_ns = now_ns;
}

void trust_doubt(struct doubt *doubt, const struct proof *silent, int64_t sent_ns, int64_t now_ns,
                 bool acknowledged)
{
    bool again = sent_ns >= doubt->noticed_ns && silent->alive_ns <= doubt->slow_ns;

    if (again || silent->is_kernels)
        move_up(&doubt->lost_ns, sent_ns);
    if (again || silent->is_kernels || !acknowledged)
        move_up(&doubt->since_ns, sent_ns);
    else
        note_slow(doubt, sent_ns, now_ns);
}

void trust_probed(struct proof *proof, int64_t now_ns)
{
    proof->probed_ns = now_ns;
}

void trust_acknowledged(struct proof *proof)
{
    *proof = (struct proof){.alive_ns = proof->probed_ns, .is_kernels = true};
}
