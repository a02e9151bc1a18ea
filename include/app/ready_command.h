#ifndef CURFEW_APP_READY_COMMAND_H
#define CURFEW_APP_READY_COMMAND_H

/* `curfew ready`; argv[0] is "ready". The exit status: 0 it takes calls, 1 it does not, 2 wrong usage. */
int ready_command_main(int argc, char **argv);

#endif
