/* services/result_entry.h - one job result as it is handed out. Pure; any thread. */
#ifndef PGK_SERVICES_RESULT_ENTRY_H
#define PGK_SERVICES_RESULT_ENTRY_H

#include "backend/stores.h"

#define RESULT_REASON_SIZE 128

/* What the application is given for a row: with CORRUPT when it is damaged, and why in `reason`, which is
 * empty otherwise and must live as long. */
void result_from_row(const struct result_row *row, char reason[RESULT_REASON_SIZE],
                     pgk_job_result *ret_result);

#endif
