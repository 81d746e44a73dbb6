/* verbs.h - the verbs of the command, each with its help text. migrate's are in migrate.h. */
#ifndef PGK_CLI_VERBS_H
#define PGK_CLI_VERBS_H

#include "cli.h"

#endif
