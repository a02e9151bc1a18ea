#ifndef CURFEW_APP_EXPLAIN_H
#define CURFEW_APP_EXPLAIN_H

/* `curfew explain`: exit status. */
int explain_main(int argc, char **argv);

#endif
