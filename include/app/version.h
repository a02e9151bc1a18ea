#ifndef CURFEW_APP_VERSION_H
#define CURFEW_APP_VERSION_H

/* The release, from the file VERSION: "0.2.1". */
extern const char curfew_version[];

#endif
