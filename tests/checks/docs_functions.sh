#!/usr/bin/env bash
# The functions of the version script, of the headers and of libpgkeeper(3) are the same; so are the statuses of
# status.h and of libpgkeeper(3).
set -eu
cd "$PGK_SOURCE_DIR"
exported=$(sed -n 's/^ *\(pgk_[a-z0-9_]*\);$/\1/p' src/libpgkeeper.map | sort -u)
listed=$(sed -n 's/^\.It Fn \(pgk_[a-z0-9_]*\).*/\1/p' man/libpgkeeper.3 | sort -u)
declared=$(sed -n '/^PGK_API/s/^PGK_API [^(]*[ *]\(pgk_[a-z0-9_]*\)(.*/\1/p' include/pgkeeper/*.h | sort -u)
[ -n "$exported" ]
diff <(echo "$exported") <(echo "$listed") || { echo "src/libpgkeeper.map (<) and man/libpgkeeper.3 (>) differ"; exit 1; }
diff <(echo "$exported") <(echo "$declared") || { echo "src/libpgkeeper.map (<) and the headers (>) differ"; exit 1; }
echo "$(echo "$exported" | wc -l) functions"

statuses=$(sed -n 's/^ *X(\(PGK_[A-Z_]*\),.*/\1/p' include/pgkeeper/status.h | sort)
described=$(sed -n 's/^\.It Dv \(PGK_OK\|PGK_ERR_[A-Z_]*\)$/\1/p' man/libpgkeeper.3 | sort)
[ -n "$statuses" ]
diff <(echo "$statuses") <(echo "$described") || { echo "include/pgkeeper/status.h (<) and man/libpgkeeper.3 (>) differ"; exit 1; }

# What docs/from-flink.md names is there. Blobs only where their header is.
named=$(grep -oE '`pgk_[a-z0-9_]*\(' docs/from-flink.md | tr -d '`(' | sort -u)
[ -e include/pgkeeper/blob.h ] || named=$(grep -v blob <<<"$named")
missing=$(comm -23 <(echo "$named") <(echo "$exported"))
[ -z "$missing" ] || { echo "docs/from-flink.md names what there is not:" "$missing"; exit 1; }
types=$(grep -oE '`pgk_[a-z0-9_]*[`.]' docs/from-flink.md | tr -d '`.' | sort -u)
for type in $types; do
    grep -qE "[^a-z_]${type}[^a-z_]" include/pgkeeper/*.h || { echo "docs/from-flink.md: no $type"; exit 1; }
done
views=$(grep -oE '`stat_[a-z]*`' docs/from-flink.md | tr -d '`' | sort -u)
[ -e include/pgkeeper/blob.h ] || views=$(grep -v blob <<<"$views")
for view in $views; do
    grep -q "^CREATE VIEW $view " migrations/*.up.sql || { echo "docs/from-flink.md: no view $view"; exit 1; }
done

# And it has a word for each method of Flink's interfaces, by their old names and their new ones.
while read -r -a methods; do
    for method in "${methods[@]:1}"; do
        grep -qE "[^A-Za-z]${method}[^A-Za-z]" docs/from-flink.md ||
            { echo "docs/from-flink.md has no word for ${methods[0]}.$method"; exit 1; }
    done
done <<'METHODS'
HighAvailabilityServices getResourceManagerLeaderRetriever getDispatcherLeaderRetriever getJobManagerLeaderRetriever
HighAvailabilityServices getWebMonitorLeaderRetriever getResourceManagerLeaderElection getDispatcherLeaderElection
HighAvailabilityServices getJobManagerLeaderElection getWebMonitorLeaderElectionService getClusterRestEndpointLeaderElection
HighAvailabilityServices getResourceManagerLeaderElectionService getDispatcherLeaderElectionService getJobManagerLeaderElectionService
HighAvailabilityServices getCheckpointRecoveryFactory getJobGraphStore getExecutionPlanStore getJobResultStore getRunningJobsRegistry
HighAvailabilityServices createBlobStore close closeAndCleanupAllData cleanupAllData closeWithOptionalClean cleanupJobData globalCleanupAsync
ClientHighAvailabilityServices getClusterRestEndpointLeaderRetriever close
LeaderElection start startLeaderElection confirmLeadership confirmLeadershipAsync hasLeadership hasLeadershipAsync runAsyncIfLeader close
LeaderContender grantLeadership revokeLeadership handleError getDescription
LeaderRetrieval start stop notifyLeaderAddress handleError
ExecutionPlanStore start stop recoverExecutionPlan getJobIds putExecutionPlan putJobResourceRequirements localCleanupAsync globalCleanupAsync
ExecutionPlanListener onAddedExecutionPlan onRemovedExecutionPlan
JobGraphStore recoverJobGraph putJobGraph removeJobGraph releaseJobGraph onAddedJobGraph onRemovedJobGraph
JobResultStore createDirtyResultAsync markResultAsCleanAsync hasJobResultEntryAsync getDirtyResults hasDirtyJobResultEntry hasCleanJobResultEntry
RunningJobsRegistry setJobRunning setJobFinished getJobSchedulingStatus clearJob
CheckpointRecoveryFactory createRecoveredCompletedCheckpointStore createCheckpointIDCounter
CompletedCheckpointStore addCheckpoint addCheckpointAndSubsumeOldestOne getLatestCheckpoint getLatestCheckpointId getAllCheckpoints
CompletedCheckpointStore getNumberOfRetainedCheckpoints getMaxNumberOfRetainedCheckpoints requiresExternalizedCheckpoints shutdown
CompletedCheckpointStore getSharedStateRegistry registerSharedState
CheckpointIDCounter start shutdown getAndIncrement get setCount suspend
BlobStore put get delete deleteAll
HaLeadershipControl revokeDispatcherLeadership grantDispatcherLeadership revokeJobMasterLeadership grantJobMasterLeadership
HaLeadershipControl revokeResourceManagerLeadership grantResourceManagerLeadership
HighAvailabilityServicesUtils createAvailableOrEmbeddedServices createHighAvailabilityServices createClientHAService
HighAvailabilityServicesUtils getJobManagerAddress getWebMonitorAddress
METHODS
