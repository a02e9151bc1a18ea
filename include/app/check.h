#ifndef CURFEW_APP_CHECK_H
#define CURFEW_APP_CHECK_H

/* `curfew check FILE`; argv[0] is "check". The exit status: 0 sound, 1 not, 2 wrong usage. */
int check_main(int argc, char **argv);

#endif
