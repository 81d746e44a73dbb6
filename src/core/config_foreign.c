/*
 * core/config_foreign.c - keys of Flink's high availability that have no equivalent here, and what to do
 * instead. Those that have one are other spellings in the table of config_keys.c.
 *
 * Somebody who comes with a configuration of Flink is told by name what does nothing; all other keys of
 * Flink are none of our business. Immutable; any thread.
 */
#include <string.h>

#include "core/config.h"

/* The first that fits counts. A name that ends in a dot stands for all beneath it. */
static const struct {
    const char *name;
    const char *advice;
} foreign[] = {
    {"high-availability.storageDir", "everything is kept in the database"},
    {"high-availability.zookeeper.storageDir", "everything is kept in the database"},
    {"recovery.zookeeper.storageDir", "everything is kept in the database"},
    {"job-result-store.storage-path", "results are kept in the database"},
    {"high-availability.zookeeper.quorum",
     "high-availability.postgres.uri says where the database is"},
    {"recovery.zookeeper.quorum", "high-availability.postgres.uri says where the database is"},
    {"high-availability.zookeeper.path.",
     "high-availability.cluster-id and high-availability.postgres.schema tell clusters apart"},
    {"recovery.zookeeper.path.",
     "high-availability.cluster-id and high-availability.postgres.schema tell clusters apart"},
    {"high-availability.zookeeper.client.acl", "the database grants, see sql/roles.sql"},
    {"high-availability.zookeeper.client.authorization", "the database grants, see sql/roles.sql"},
    {"zookeeper.sasl.", "the database grants, see sql/roles.sql"},
    {"high-availability.zookeeper.client.tolerate-suspended-connections",
     "a leader leads until its lease ends, and retrieval.disconnect-tolerance is for followers"},
    {"high-availability.zookeeper.", "there is no ZooKeeper"},
    {"recovery.zookeeper.", "there is no ZooKeeper"},
    {"high-availability.kubernetes.",
     "the lease is set by high-availability.postgres.profile, or .lease and .heartbeat"},
    {"high-availability.jobmanager.port",
     "a master publishes the port that it has, with its address"},
    {"recovery.jobmanager.port", "a master publishes the port that it has, with its address"},
    {"high-availability.job.delay", "nor has it in Flink"},
    {"recovery.job.delay", "nor has it in Flink"},
};

/* All that is not known beneath these is worth a word: it may be misspelt. */
static const char *const families[] = {"high-availability.", "job-result-store.",
                                       "cleanup-strategy."};

const char *config_foreign_advice(const char *name)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        size_t length = strlen(foreign[i].name);
        bool prefix = foreign[i].name[length - 1] == '.';
        if (strncmp(foreign[i].name, name, length) == 0 && (prefix || name[length] == '\0')) {
            return foreign[i].advice;
        }
    }
    return NULL;
}

bool config_foreign_is_near(const char *name)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strncmp(name, families[i], strlen(families[i])) == 0) {
            return true;
        }
    }
    return false;
}
