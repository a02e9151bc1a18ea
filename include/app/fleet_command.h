#ifndef CURFEW_APP_FLEET_COMMAND_H
#define CURFEW_APP_FLEET_COMMAND_H

/* `curfew fleet`: the arguments behind its name; returns the process's exit status. */
int fleet_command_main(int argc, char **argv);

#endif
