/* pgkeeper/pgkeeper.h - high-availability services on PostgreSQL: everything in one include. */
#ifndef PGKEEPER_PGKEEPER_H
#define PGKEEPER_PGKEEPER_H

#include <pgkeeper/blob.h>
#include <pgkeeper/checkpoint.h>
#include <pgkeeper/config.h>
#include <pgkeeper/election.h>
#include <pgkeeper/embedded.h>
#include <pgkeeper/export.h>
#include <pgkeeper/factory.h>
#include <pgkeeper/ha.h>
#include <pgkeeper/job_graph.h>
#include <pgkeeper/job_registry.h>
#include <pgkeeper/job_result.h>
#include <pgkeeper/recovery.h>
#include <pgkeeper/retrieval.h>
#include <pgkeeper/status.h>
#include <pgkeeper/uuid.h>

#endif
