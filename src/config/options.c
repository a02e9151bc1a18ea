#include "config/options.h"

const struct option option_table[OPT_COUNT] = {
#define OPTION(section, id, key, type, fallback, values, meaning, example)                                   \
    [OPT_##section##_##id] = {SECTION_##section, key, OPTION_##type, SECTION_NONE, fallback, values},
#define NESTED(section, id, key, type, inner, meaning)                                                       \
    [OPT_##section##_##id] = {SECTION_##section, key, OPTION_##type, SECTION_##inner, NULL, NULL},
#include "config/options.def"
#undef OPTION
#undef NESTED
};

bool option_is_in(const struct option *option, enum option_section section)
{
    return option->section == (section == SECTION_DEFAULTS ? SECTION_UPSTREAM : section);
}

const struct option *option_find(enum option_section section, struct span key)
{
    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (option_is_in(&option_table[i], section) && span_eq(span_of(option_table[i].key), key))
            return &option_table[i];
    }
    return NULL;
}

bool option_is_number(const struct option *option)
{
    return option->type <= OPTION_CHOICE;
}
