#include "app/version.h"

const char curfew_version[] = CURFEW_VERSION;
