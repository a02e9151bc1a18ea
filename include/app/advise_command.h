#ifndef CURFEW_APP_ADVISE_COMMAND_H
#define CURFEW_APP_ADVISE_COMMAND_H

/* `curfew advise`; argv[0] is its name. Returns the exit status. */
int advise_command_main(int argc, char **argv);

#endif
