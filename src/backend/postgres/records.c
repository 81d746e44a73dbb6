/* backend/postgres/records.c - the addresses that this process keeps standing, and the errands they
 * cause. See keeper.h. */
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/keeper.h"

void errand_free(struct errand *errand)
{
    if (errand != NULL) {
        free(errand->name);
        free(errand->address);
        free(errand);
    }
}

static bool same_errand(const struct errand *errand, enum statement_id statement,
                        const pgk_token *token, const char *name)
{
    return errand->statement == statement && strcmp(errand->name, name) == 0 &&
           (token == NULL || errand->token.epoch == token->epoch);
}

/* Out of memory drops it: the next read finds the same difference again. */
void errand_add(struct backend *backend, enum statement_id statement, const pgk_token *token,
                int32_t member_id, const char *name, const char *address)
{
    struct errand **end = &backend->errands;
    for (; *end != NULL; end = &(*end)->next) {
        if (same_errand(*end, statement, token, name)) {
            return;
        }
    }
    struct errand *errand = calloc(1, sizeof(*errand));
    if (errand == NULL) {
        return;
    }
    errand->statement = statement;
    errand->member_id = member_id;
    errand->name = strdup(name);
    errand->address = address != NULL ? strdup(address) : NULL;
    if (token != NULL) {
        errand->token = *token;
    }
    if (errand->name == NULL || (address != NULL && errand->address == NULL)) {
        errand_free(errand);
        return;
    }
    *end = errand;
}

static void record_free(struct record *record)
{
    free(record->component);
    free(record->address);
    free(record);
}

void record_drop(struct backend_group *group, const char *component)
{
    for (struct record **at = &group->records; *at != NULL; at = &(*at)->next) {
        struct record *record = *at;
        if (strcmp(record->component, component) == 0) {
            *at = record->next;
            record_free(record);
            return;
        }
    }
}

bool record_set(struct backend_group *group, const char *component, const char *address)
{
    struct record *record = calloc(1, sizeof(*record));
    if (record == NULL) {
        return false;
    }
    record->component = strdup(component);
    record->address = strdup(address);
    if (record->component == NULL || record->address == NULL) {
        record_free(record);
        return false;
    }
    record_drop(group, component);
    record->next = group->records;
    group->records = record;
    return true;
}

void records_clear(struct backend_group *group)
{
    while (group->records != NULL) {
        struct record *record = group->records;
        group->records = record->next;
        record_free(record);
    }
}
