#ifndef CURFEW_APP_RELOAD_COMMAND_H
#define CURFEW_APP_RELOAD_COMMAND_H

/*
 * `curfew reload`; argv[0] is "reload". The exit status: 0 the new configuration is in force, 1 it is not, 2 wrong
 * usage.
 */
int reload_command_main(int argc, char **argv);

#endif
