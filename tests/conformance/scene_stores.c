/* tests/conformance/scene_stores.c - see scene.h: stores of a case, freed with it, and small steps with them. */
#include "blob_tools.h"
#include "scene.h"

static void *keep(struct things *things, void (*release)(void *), void *thing)
{
    assert_in_range(things->count, 0, SCENE_THINGS - 1);
    things->list[things->count++] = (struct thing){release, thing};
    return thing;
}

static void free_graphs(void *store)
{
    pgk_job_graphs_free(store);
}

static void free_results(void *store)
{
    pgk_job_results_free(store);
}

static void free_registry(void *registry)
{
    pgk_job_registry_free(registry);
}

static void free_checkpoints(void *store)
{
    pgk_checkpoints_free(store);
}

static void free_counter(void *counter)
{
    pgk_checkpoint_counter_free(counter);
}

static void free_blobs(void *blobs)
{
    pgk_blobs_free(blobs);
}

void *scene_memory(struct scene *s, size_t bytes)
{
    void *memory = calloc(1, bytes);
    assert_non_null(memory);
    return keep(&s->memory, free, memory);
}

static void free_ear(void *arg)
{
    struct ear *ear = arg;
    pthread_mutex_destroy(&ear->lock);
    free(ear);
}

struct ear *scene_ear(struct scene *s)
{
    struct ear *ear = malloc(sizeof(*ear));
    assert_non_null(ear);
    ear_open(ear);
    return keep(&s->memory, free_ear, ear);
}

pgk_job_graphs *scene_graphs_listening(struct scene *s, pgk_ha *ha, const pgk_token *token,
                                       struct ear *ear)
{
    pgk_job_graphs *store = NULL;
    pgk_job_graph_listener listener;
    if (ear != NULL) {
        void (*hook)(struct ear *, const pgk_uuid *) = ear->hook;
        void *user = ear->user;
        pthread_mutex_destroy(&ear->lock);
        listener = ear_open(ear);
        ear->hook = hook;
        ear->user = user;
    }
    WORKS(s, pgk_ha_job_graphs(ha, token, &store, &s->err));
    keep(&s->stores, free_graphs, store);
    WORKS(s, pgk_job_graphs_start(store, ear != NULL ? &listener : NULL, &s->err));
    return store;
}

pgk_job_graphs *scene_graphs(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    return scene_graphs_listening(s, ha, token, NULL);
}

void scene_two_graphs(struct scene *s, pgk_ha *ha, const pgk_token *token, pgk_job_graphs **ret_one,
                      pgk_job_graphs **ret_other)
{
    *ret_one = scene_graphs(s, ha, token);
    *ret_other = scene_graphs(s, ha, token);
}

void scene_changed_graph(struct scene *s, pgk_job_graphs **ret_one, pgk_job_graphs **ret_other)
{
    scene_two_graphs(s, scene_open(s), PGK_UNFENCED, ret_one, ret_other);
    put_graph(s, *ret_one, 1, "one");
    assert_string_equal(graph_text(s, *ret_other, 1), "one");
    put_graph(s, *ret_other, 1, "two");
}

pgk_job_results *scene_results(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    pgk_job_results *store = NULL;
    WORKS(s, pgk_ha_job_results(ha, token, &store, &s->err));
    return keep(&s->stores, free_results, store);
}

pgk_job_registry *scene_registry(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    pgk_job_registry *registry = NULL;
    WORKS(s, pgk_ha_job_registry(ha, token, &registry, &s->err));
    return keep(&s->stores, free_registry, registry);
}

pgk_checkpoints *scene_checkpoints(struct scene *s, pgk_ha *ha, const pgk_token *token,
                                   int max_retained, pgk_discard_fn discard, void *user)
{
    pgk_checkpoints *store = NULL;
    WORKS(s, checkpoints_open(ha, token, 1, max_retained, discard, user, &store, &s->err));
    return keep(&s->stores, free_checkpoints, store);
}

pgk_checkpoints *scene_checkpoints_of(struct scene *s, pgk_ha *ha, int job)
{
    pgk_checkpoints *store = NULL;
    WORKS(s, checkpoints_open(ha, PGK_UNFENCED, job, 1, NULL, NULL, &store, &s->err));
    return keep(&s->stores, free_checkpoints, store);
}

pgk_checkpoint_counter *scene_counter(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_of(1);
    WORKS(s, pgk_ha_checkpoint_counter(ha, token, &job, &counter, &s->err));
    return keep(&s->stores, free_counter, counter);
}

pgk_blobs *scene_blobs(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    pgk_blobs *blobs = NULL;
    WORKS(s, pgk_ha_blobs(ha, token, &blobs, &s->err));
    return keep(&s->stores, free_blobs, blobs);
}

/* ------------------------------------------------------------------ small steps */

void put_graph(struct scene *s, pgk_job_graphs *store, int job, const char *text)
{
    pgk_uuid id = job_of(job);
    WORKS(s, pgk_job_graphs_put(store, &id, text, strlen(text), &s->err));
}

pgk_status tally_graph(void *user, const pgk_job_graph *graph)
{
    struct graph_tally *tally = user;
    tally->calls++;
    if (graph->status == PGK_OK && graph->graph_bytes == 5 &&
        memcmp(graph->graph, "graph", 5) == 0) {
        tally->seen[graph->job_id.bytes[15] % 64] = true;
    }
    return tally->calls == tally->refuse_at ? PGK_ERR_IO : PGK_OK;
}

const char *graph_text(struct scene *s, pgk_job_graphs *store, int job)
{
    static char text[64];
    pgk_uuid id = job_of(job);
    pgk_job_graph *graph = NULL;
    pgk_status status = pgk_job_graphs_recover(store, &id, &graph, &s->err);
    if (status == PGK_ERR_NOT_FOUND) {
        return "-";
    }
    scene_expect(s, PGK_OK, status, "pgk_job_graphs_recover");
    assert_in_range(graph->graph_bytes, 1, sizeof(text) - 1);
    memcpy(text, graph->graph, graph->graph_bytes);
    text[graph->graph_bytes] = '\0';
    pgk_job_graph_free(graph);
    return text;
}

struct line {
    char text[1024];
};

static void append(struct line *line, const char *format, long long number)
    __attribute__((format(printf, 2, 0)));
static void append(struct line *line, const char *format, long long number)
{
    size_t length = strlen(line->text);
    snprintf(line->text + length, sizeof(line->text) - length, "%s", length > 0 ? " " : "");
    length = strlen(line->text);
    snprintf(line->text + length, sizeof(line->text) - length, format, number);
}

static pgk_status note_result(void *user, const pgk_job_result *result)
{
    append(user, result->dirty ? "%lld" : "(%lld)",
           result->job_id.bytes[15] + 256 * result->job_id.bytes[14]);
    return result->entry_status;
}

const char *results_text(struct scene *s, pgk_job_results *store)
{
    static struct line line;
    line.text[0] = '\0';
    WORKS(s, pgk_job_results_list_dirty(store, note_result, &line, &s->err));
    WORKS(s, pgk_job_results_list_clean(store, note_result, &line, &s->err));
    return line.text;
}

static pgk_status note_checkpoint(void *user, const pgk_checkpoint *checkpoint)
{
    append(user, "%lld", (long long)checkpoint->checkpoint_id);
    return checkpoint->status;
}

const char *checkpoints_text(struct scene *s, pgk_checkpoints *store)
{
    static struct line line;
    line.text[0] = '\0';
    WORKS(s, pgk_checkpoints_all(store, note_checkpoint, &line, &s->err));
    return line.text;
}

void add_checkpoint(struct scene *s, pgk_checkpoints *store, int64_t id, pgk_checkpoint_kind kind)
{
    pgk_checkpoint checkpoint = checkpoint_of(id, kind);
    WORKS(s, pgk_checkpoints_add(store, &checkpoint, &s->err));
}

void add_checkpoints(struct scene *s, pgk_checkpoints *store, const char *kinds)
{
    WORKS(s, checkpoints_add_all(store, kinds, &s->err));
}

pgk_scheduling_status registry_status(struct scene *s, pgk_job_registry *registry, int job)
{
    pgk_uuid id = job_of(job);
    pgk_scheduling_status status = (pgk_scheduling_status)-1;
    WORKS(s, pgk_job_registry_get(registry, &id, &status, &s->err));
    return status;
}

int64_t counter_next(struct scene *s, pgk_checkpoint_counter *counter)
{
    int64_t value = -1;
    WORKS(s, pgk_checkpoint_counter_get(counter, &value, &s->err));
    return value;
}

/* Job 0: none. */
static const pgk_uuid *job_or_none(int job, pgk_uuid *room)
{
    *room = job_of(job);
    return job != 0 ? room : NULL;
}

void put_blob(struct scene *s, pgk_blobs *blobs, int job, const char *text, pgk_blob_key *ret_key)
{
    pgk_uuid room;
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, text, strlen(text), ret_key, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, job_or_none(job, &room), ret_key, text, strlen(text),
                                  &s->err));
}

bool blob_exists(struct scene *s, pgk_blobs *blobs, int job, const pgk_blob_key *key)
{
    pgk_uuid room;
    bool exists = false;
    WORKS(s, pgk_blobs_exists(blobs, job_or_none(job, &room), key, &exists, &s->err));
    return exists;
}

void expect_pattern(struct scene *s, pgk_blobs *blobs, const pgk_uuid *job_id,
                    const pgk_blob_key *key, size_t bytes, unsigned seed)
{
    void *data = NULL;
    size_t found = 0;
    unsigned char *expected = pattern_new(bytes, seed);
    WORKS(s, pgk_blobs_get_buffer(blobs, job_id, key, bytes, &data, &found, &s->err));
    assert_non_null(data);
    assert_int_equal(found, bytes);
    assert_memory_equal(data, expected, bytes);
    pgk_blob_data_free(data);
    free(expected);
}
