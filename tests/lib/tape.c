/* tests/lib/tape.c - writes down callbacks and checks their order; see the header. Any thread. */
#include "tape.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

void tape_init(struct tape *tape)
{
    memset(tape, 0, sizeof(*tape));
    pthread_mutex_init(&tape->lock, NULL);
}

void tape_destroy(struct tape *tape)
{
    pthread_mutex_destroy(&tape->lock);
}

static void breach(struct tape *tape, const char *name, const char *sentence)
{
    if (tape->breach[0] == '\0') {
        snprintf(tape->breach, sizeof(tape->breach), "%s: %s", name, sentence);
    }
}

static void check_pairing(struct actor *actor, const struct tape_event *event)
{
    if (event->kind == TAPE_GRANT) {
        if (actor->granted) {
            breach(actor->tape, actor->name, "granted twice without a revoke between");
        }
        actor->granted = true;
        actor->session_id = event->session_id;
    } else if (event->kind == TAPE_REVOKE) {
        if (!actor->granted) {
            breach(actor->tape, actor->name, "revoked without a grant");
        }
        if (pgk_uuid_compare(&actor->session_id, &event->session_id) != 0) {
            breach(actor->tape, actor->name, "revoked another session than was granted");
        }
        actor->granted = false;
    }
}

static void enter(struct actor *actor, const struct tape_event *event)
{
    struct tape *tape = actor->tape;
    pthread_mutex_lock(&tape->lock);
    if (tape->depth > 0 && !pthread_equal(tape->inside, pthread_self())) {
        breach(tape, actor->name, "called back while another thread runs a callback");
    }
    if (atomic_load(&actor->silent)) {
        breach(tape, actor->name, "called back after it was closed");
    }
    tape->inside = pthread_self();
    tape->depth++;
    check_pairing(actor, event);
    if (tape->length < TAPE_LENGTH) {
        tape->events[tape->length++] = *event;
    }
    atomic_fetch_add(&actor->counts[event->kind], 1);
    pthread_mutex_unlock(&tape->lock);
}

static void record(struct actor *actor, struct tape_event *event)
{
    struct tape *tape = actor->tape; /* a hook may free the actor's objects, not the tape */
    event->name = actor->name;
    enter(actor, event);
    if (actor->hook != NULL && actor->hook_kind == event->kind) {
        actor->hook(actor);
        atomic_fetch_add(&actor->hooks_done, 1);
    }
    pthread_mutex_lock(&tape->lock);
    tape->depth--;
    pthread_mutex_unlock(&tape->lock);
}

const char *tape_breach(struct tape *tape)
{
    pthread_mutex_lock(&tape->lock);
    const char *text = tape->breach; /* written once */
    pthread_mutex_unlock(&tape->lock);
    return text;
}

void tape_text(struct tape *tape, char *out, size_t size)
{
    static const char *const marks[TAPE_KINDS] = {"+", "-", "!", ">", ">none"};
    size_t used = 0;
    out[0] = '\0';
    pthread_mutex_lock(&tape->lock);
    for (int i = 0; i < tape->length && used < size; i++) {
        const struct tape_event *event = &tape->events[i];
        text_format(out + used, size - used, "%s%s%s%s", i > 0 ? " " : "", event->name,
                    marks[event->kind],
                    event->kind == TAPE_LEADER || event->kind == TAPE_ERROR ? event->text : "");
        used += strlen(out + used);
    }
    pthread_mutex_unlock(&tape->lock);
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct tape_event event = {.kind = TAPE_GRANT, .session_id = *session_id, .epoch = epoch};
    record(user, &event);
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct tape_event event = {.kind = TAPE_REVOKE, .session_id = *session_id, .epoch = epoch};
    record(user, &event);
}

static void on_error(void *user, const pgk_error *error)
{
    struct tape_event event = {.kind = TAPE_ERROR};
    text_copy(event.text, sizeof(event.text), error->message);
    record(user, &event);
}

pgk_contender actor_contender(struct actor *actor)
{
    return (pgk_contender){.size = sizeof(pgk_contender),
                           .user = actor,
                           .grant = on_grant,
                           .revoke = on_revoke,
                           .error = on_error};
}

void actor_leader(void *user, const pgk_leader *leader)
{
    struct tape_event event = {.kind = TAPE_NO_LEADER};
    if (leader != NULL) {
        event.kind = TAPE_LEADER;
        event.session_id = leader->session_id;
        event.epoch = leader->epoch;
        text_copy(event.text, sizeof(event.text), leader->address);
    }
    record(user, &event);
}

int actor_count(struct actor *actor, enum tape_kind kind)
{
    return atomic_load(&actor->counts[kind]);
}
