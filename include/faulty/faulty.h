#ifndef CURFEW_FAULTY_FAULTY_H
#define CURFEW_FAULTY_FAULTY_H

/*
 * `curfew faulty`: an HTTP API that misbehaves on purpose, so that anyone can try curfew, and test a policy of
 * their own, with nothing else installed. One thread, its own event loop; runs until SIGINT or SIGTERM.
 *
 * argv[0] is "faulty", the rest is its command line (see --help). Returns the exit status: 0 done, 1 failed
 * (what failed is on stderr), 2 wrong usage.
 */
int faulty_main(int argc, char **argv);

#endif
