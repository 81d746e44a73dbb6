/* tests/lib/inproc.c - handles of the modes that need no server; see the header. */
#include "inproc.h"

#include <stdlib.h>

static pgk_config *new_config(const char *type, const char *cluster_id, va_list pairs)
{
    pgk_config *config = NULL;
    pgk_error err;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.type", type, &err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.cluster-id", cluster_id, &err),
                     PGK_OK);
    for (const char *key = va_arg(pairs, const char *); key != NULL;
         key = va_arg(pairs, const char *)) {
        assert_int_equal(pgk_config_set(config, key, va_arg(pairs, const char *), &err), PGK_OK);
    }
    return config;
}

static pgk_ha *opened(pgk_status (*open)(const pgk_config *, pgk_ha **, pgk_error *),
                      const char *type, const char *cluster_id, va_list pairs)
{
    pgk_ha *ha = NULL;
    pgk_error err;
    pgk_config *config = new_config(type, cluster_id, pairs);
    assert_int_equal(open(config, &ha, &err), PGK_OK);
    pgk_config_free(config);
    return ha;
}

pgk_ha *inproc_open(const char *type, const char *cluster_id, ...)
{
    va_list pairs;
    va_start(pairs, cluster_id);
    pgk_ha *ha = opened(pgk_ha_open, type, cluster_id, pairs);
    va_end(pairs);
    return ha;
}

pgk_ha *inproc_open_client(const char *type, const char *cluster_id, ...)
{
    va_list pairs;
    va_start(pairs, cluster_id);
    pgk_ha *ha = opened(pgk_ha_open_client, type, cluster_id, pairs);
    va_end(pairs);
    return ha;
}

pgk_status inproc_try(const char *type, const char *cluster_id, const char *key, const char *value,
                      pgk_error *err)
{
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    assert_int_equal(pgk_config_new(&config, err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.type", type, err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.cluster-id", cluster_id, err),
                     PGK_OK);
    assert_int_equal(pgk_config_set(config, key, value, err), PGK_OK);
    pgk_status status = pgk_ha_open(config, &ha, err);
    pgk_ha_free(ha);
    pgk_config_free(config);
    return status;
}

struct member *member_new(pgk_ha *ha)
{
    static const char *const names[MEMBER_ACTORS] = {"a", "b", "c"};
    struct member *member = calloc(1, sizeof(*member));
    assert_non_null(member);
    tape_init(&member->tape);
    member->ha = ha;
    for (int i = 0; i < MEMBER_ACTORS; i++) {
        member->a[i].tape = &member->tape;
        member->a[i].name = names[i];
        member->a[i].ha = ha;
    }
    return member;
}

void member_free(struct member *member)
{
    assert_int_equal(pgk_ha_close(member->ha, NULL), PGK_OK);
    for (int i = 0; i < MEMBER_ACTORS; i++) {
        assert_int_equal(actor_count(&member->a[i], TAPE_GRANT),
                         actor_count(&member->a[i], TAPE_REVOKE));
        atomic_store(&member->a[i].silent, true);
        actor_free(&member->a[i]);
    }
    pgk_ha_free(member->ha);
    assert_string_equal(tape_breach(&member->tape), "");
    tape_destroy(&member->tape);
    free(member);
}

void actor_contend(struct actor *actor, pgk_ha *ha, const char *component, const char *group)
{
    pgk_contender contender = actor_contender(actor);
    pgk_error err;
    actor->ha = ha;
    assert_int_equal(group == NULL
                         ? pgk_ha_election(ha, component, &actor->election, &err)
                         : pgk_ha_election_in_group(ha, component, group, &actor->election, &err),
                     PGK_OK);
    assert_int_equal(pgk_election_start(actor->election, &contender, &err), PGK_OK);
}

void actor_follow(struct actor *actor, pgk_ha *ha, const char *component)
{
    pgk_error err;
    actor->ha = ha;
    assert_int_equal(pgk_ha_retriever(ha, component, &actor->retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_start(actor->retriever, actor_leader, actor, &err), PGK_OK);
}

/* Leadership may pass on at any moment, so that FENCED is no fault here. */
static void confirm(struct actor *actor)
{
    pgk_token token;
    if (pgk_election_token(actor->election, &token, NULL) == PGK_OK) {
        (void)pgk_election_confirm(actor->election, &token.session_id, actor->user, NULL);
    }
}

void actor_confirms(struct actor *actor, const char *address)
{
    actor->user = (void *)address;
    actor->hook = confirm;
    actor->hook_kind = TAPE_GRANT;
}

bool actor_leads(const struct actor *actor)
{
    pgk_token token;
    return pgk_election_token(actor->election, &token, NULL) == PGK_OK &&
           pgk_election_has_leadership(actor->election, &token.session_id);
}

void actor_free(struct actor *actor)
{
    pgk_election_free(actor->election);
    pgk_retriever_free(actor->retriever);
    actor->election = NULL;
    actor->retriever = NULL;
}

struct tape_event actor_last(struct actor *actor, enum tape_kind kind)
{
    struct tape_event last = {.name = NULL};
    pthread_mutex_lock(&actor->tape->lock);
    for (int i = 0; i < actor->tape->length; i++) {
        const struct tape_event *event = &actor->tape->events[i];
        if (event->kind == kind && event->name == actor->name) {
            last = *event;
        }
    }
    pthread_mutex_unlock(&actor->tape->lock);
    assert_non_null(last.name);
    return last;
}
