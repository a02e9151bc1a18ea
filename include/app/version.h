#ifndef CURFEW_APP_VERSION_H
#define CURFEW_APP_VERSION_H

/* The release, from the file VERSION: "0.2.0". */
extern const char curfew_version[];

#endif
