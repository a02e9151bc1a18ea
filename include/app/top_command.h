#ifndef CURFEW_APP_TOP_COMMAND_H
#define CURFEW_APP_TOP_COMMAND_H

/* `curfew top`: argv[0] is "top". Returns the exit status. */
int top_command_main(int argc, char **argv);

#endif
