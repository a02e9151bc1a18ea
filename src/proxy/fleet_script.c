#include "proxy/fleet_script.h"

/* The assembler puts the files in, byte for byte. make runs it where the tree begins. */
#define SCRIPT(id)                                                                                           \
    __asm__(".pushsection .rodata\nfleet_script_" #id "_start: .incbin \"src/proxy/fleet_" #id               \
            ".lua\"\nfleet_script_" #id "_end: .popsection\n");                                              \
    extern const char fleet_script_##id##_start[], fleet_script_##id##_end[];

SCRIPT(renew)
SCRIPT(book)
SCRIPT(check)
SCRIPT(turn)

struct span fleet_script_check(void)
{
    return (struct span){fleet_script_check_start,
                         (size_t)(fleet_script_check_end - fleet_script_check_start)};
}

struct span fleet_script_renew(void)
{
    return (struct span){fleet_script_renew_start,
                         (size_t)(fleet_script_renew_end - fleet_script_renew_start)};
}

struct span fleet_script_turn(void)
{
    return (struct span){fleet_script_turn_start, (size_t)(fleet_script_turn_end - fleet_script_turn_start)};
}

struct span fleet_script_book(void)
{
    return (struct span){fleet_script_book_start, (size_t)(fleet_script_book_end - fleet_script_book_start)};
}
