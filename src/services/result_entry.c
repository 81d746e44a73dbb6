/* services/result_entry.c - see result_entry.h. */
#include "services/result_entry.h"

#include "core/text.h"
#include "services/call.h"

static void judge(const struct result_row *row, char reason[RESULT_REASON_SIZE])
{
    reason[0] = '\0';
    if (row->result.format_version != PGK_RESULT_FORMAT_VERSION) {
        text_format(reason, RESULT_REASON_SIZE, "format version %d is not known here, only %d",
                    (int)row->result.format_version, PGK_RESULT_FORMAT_VERSION);
    } else if ((int)row->result.status < 0) {
        text_copy(reason, RESULT_REASON_SIZE, "its status is none");
    } else if (row->accumulators.data != NULL && !bytes_match(&row->accumulators)) {
        text_copy(reason, RESULT_REASON_SIZE, "the accumulators differ from their SHA-256");
    }
}

void result_from_row(const struct result_row *row, char reason[RESULT_REASON_SIZE],
                     pgk_job_result *ret_result)
{
    pgk_job_result result = row->result;

    judge(row, reason);
    result.size = sizeof(result);
    result.entry_status = PGK_OK;
    result.reason = NULL;
    result.accumulators = row->accumulators.data;
    result.accumulators_bytes = row->accumulators.length;
    if (reason[0] != '\0') {
        result = (pgk_job_result){.size = sizeof(result),
                                  .job_id = row->result.job_id,
                                  .dirty = row->result.dirty,
                                  .entry_status = PGK_ERR_CORRUPT,
                                  .reason = reason};
    }
    *ret_result = result;
}
