#ifndef CURFEW_APP_CALLS_COMMAND_H
#define CURFEW_APP_CALLS_COMMAND_H

/* `curfew calls`: argv[0] is "calls". Returns the exit status. */
int calls_command_main(int argc, char **argv);

#endif
