#ifndef CURFEW_APP_SERVE_H
#define CURFEW_APP_SERVE_H

/* `curfew serve -c FILE`; argv[0] is "serve". Returns the exit status: 0 done, 1 failed, 2 wrong usage. */
int serve_main(int argc, char **argv);

#endif
