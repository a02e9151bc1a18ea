#include "config/build.h"
#include "config/report.h"

static enum status copy_name(struct build *b, const struct yaml_node *node, struct span *out)
{
    *out = (struct span){arena_text(b->arena, node->text), node->text.len};
    (void)build_is_field_name(b, node, node->text, false);
    return out->ptr ? ST_OK : ST_NOMEM;
}

static enum status copy_headers(struct build *b, const struct yaml_node *list,
                                struct caller_deadline_config *out)
{
    struct span *names = arena_calloc(b->arena, list->count, sizeof(*names));
    enum status status = names ? ST_OK : ST_NOMEM;

    out->headers = names;
    out->header_count = list->count;
    for (const struct yaml_node *node = list->first; node && status == ST_OK; node = node->next)
        status = copy_name(b, node, &names[node->index]);
    return status;
}

enum status build_caller_deadline(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_CALLER_DEADLINE].node;
    const struct yaml_node *headers = u->values.of[OPT_CALLER_DEADLINE_HEADERS].node;
    const struct yaml_node *forward = u->values.of[OPT_CALLER_DEADLINE_FORWARD].node;
    enum status status = ST_OK;

    if (!node)
        return ST_OK;
    schema_require(&u->values, SECTION_CALLER_DEADLINE, node, b->errors);
    if (headers)
        status = copy_headers(b, headers, &u->out->caller_deadline);
    if (!forward || status != ST_OK)
        return status;
    u->out->caller_deadline.forwards_grpc = span_eq_nocase(forward->text, SPAN_LIT("grpc-timeout"));
    return copy_name(b, forward, &u->out->caller_deadline.forward);
}
