/* tests/conformance/scene.c - see scene.h: handles, contenders and followers; the stores are in scene_stores.c. */
#include "scene.h"

#include <unistd.h>

#include "scratch.h"

void scene_begin(struct scene *s, const struct mode *mode, int number)
{
    memset(s, 0, sizeof(*s));
    s->mode = mode;
    snprintf(s->cluster, sizeof(s->cluster), "conformance/%d/%d", (int)getpid(), number);
    snprintf(s->elsewhere, sizeof(s->elsewhere), "%s/elsewhere", s->cluster);
}

static void free_things(struct things *things)
{
    while (things->count > 0) {
        struct thing *thing = &things->list[--things->count];
        thing->free(thing->thing);
    }
}

void scene_end(struct scene *s)
{
    process_free_all();
    free_things(&s->stores);
    for (int i = 0; i < s->handle_count; i++) {
        pgk_ha_free(s->handles[i]);
    }
    for (int i = 0; i < s->part_count; i++) {
        part_free(&s->parts[i]);
        recorder_free(s->parts[i].recorder);
    }
    free_things(&s->memory);
    if (s->dir[0] != '\0') {
        directory_remove(s->dir);
    }
}

void scene_expect(struct scene *s, pgk_status wanted, pgk_status answer, const char *call)
{
    if (answer != wanted) {
        fail_msg("%s: %s instead of %s: %s", call, pgk_status_name(answer), pgk_status_name(wanted),
                 answer != PGK_OK ? s->err.message : "");
    }
    if (wanted != PGK_OK && (s->err.status != wanted || strlen(s->err.message) < 9)) {
        fail_msg("%s: %s, but the error is not filled", call, pgk_status_name(answer));
    }
}

/* ------------------------------------------------------------------ handles */

pgk_config *scene_config(struct scene *s)
{
    pgk_config *config = NULL;
    char name[16];
    const struct setting *settings = s->mode->settings();
    snprintf(name, sizeof(name), "m%d", s->handle_count);
    WORKS(s, pgk_config_new(&config, &s->err));
    WORKS(s, pgk_config_set(config, "high-availability.type", s->mode->name, &s->err));
    WORKS(s, pgk_config_set(config, "high-availability.cluster-id", s->cluster, &s->err));
    WORKS(s, pgk_config_set(config, "member.name", name, &s->err));
    for (size_t i = 0; i < MODE_SETTINGS && settings[i].key != NULL; i++) {
        WORKS(s, pgk_config_set(config, settings[i].key, settings[i].value, &s->err));
    }
    return config;
}

static pgk_ha *keep(struct scene *s, pgk_ha *ha)
{
    assert_in_range(s->handle_count, 0, SCENE_HANDLES - 1);
    s->handles[s->handle_count++] = ha;
    return ha;
}

pgk_ha *scene_open(struct scene *s)
{
    return scene_open_with(s, NULL, NULL);
}

pgk_ha *scene_client(struct scene *s)
{
    pgk_ha *ha = NULL;
    pgk_config *config = scene_config(s);
    WORKS(s, pgk_ha_open_client(config, &ha, &s->err));
    pgk_config_free(config);
    return keep(s, ha);
}

pgk_ha *scene_open_with(struct scene *s, const char *key, ...)
{
    pgk_ha *ha = NULL;
    pgk_config *config = scene_config(s);
    va_list pairs;
    va_start(pairs, key);
    for (; key != NULL; key = va_arg(pairs, const char *)) {
        WORKS(s, pgk_config_set(config, key, va_arg(pairs, const char *), &s->err));
    }
    va_end(pairs);
    WORKS(s, pgk_ha_open(config, &ha, &s->err));
    pgk_config_free(config);
    return keep(s, ha);
}

void scene_forget(struct scene *s, const pgk_ha *ha)
{
    for (int i = 0; i < s->handle_count; i++) {
        if (s->handles[i] == ha) {
            s->handles[i] = NULL;
            return;
        }
    }
    fail_msg("not a handle of the scene");
}

void scene_close(struct scene *s, pgk_ha *ha)
{
    scene_forget(s, ha);
    WORKS(s, pgk_ha_close(ha, &s->err));
    pgk_ha_free(ha);
}

/* ------------------------------------------------------------------ contenders and followers */

static struct part *new_part(struct scene *s, void (*hook)(struct part *, const char *), void *user)
{
    assert_in_range(s->part_count, 0, SCENE_PARTS - 1);
    struct part *part = &s->parts[s->part_count++];
    part->recorder = recorder_new();
    part->hook = hook;
    part->user = user;
    return part;
}

struct part *scene_contend_in(struct scene *s, pgk_ha *ha, const char *component, const char *group)
{
    struct part *part = new_part(s, NULL, NULL);
    part_contend(part, part->recorder, ha, component, group);
    return part;
}

struct part *scene_contend(struct scene *s, pgk_ha *ha, const char *component)
{
    return scene_contend_in(s, ha, component, NULL);
}

struct part *scene_contend_hooked(struct scene *s, pgk_ha *ha, const char *component,
                                  void (*hook)(struct part *part, const char *kind), void *user)
{
    struct part *part = new_part(s, hook, user);
    part_contend(part, part->recorder, ha, component, NULL);
    return part;
}

struct part *scene_follow_hooked(struct scene *s, pgk_ha *ha, const char *component,
                                 void (*hook)(struct part *part, const char *kind), void *user)
{
    struct part *part = new_part(s, hook, user);
    part_follow(part, part->recorder, ha, component);
    return part;
}

struct part *scene_follow(struct scene *s, pgk_ha *ha, const char *component)
{
    return scene_follow_hooked(s, ha, component, NULL, NULL);
}

struct part *scene_lead(struct scene *s, pgk_ha *ha, pgk_token *ret_token)
{
    struct part *part = scene_contend(s, ha, "dispatcher");
    part_granted(part);
    if (ret_token != NULL) {
        WORKS(s, pgk_election_token(part->election, ret_token, &s->err));
    }
    return part;
}

size_t part_count(const struct part *part, const char *kind)
{
    char prefix[16];
    snprintf(prefix, sizeof(prefix), "%s ", kind);
    return recorder_count(part->recorder, prefix);
}

bool part_leads(const struct part *part)
{
    return pgk_election_has_leadership(part->election, &part->session_id);
}

int64_t part_hears(struct part *part, const char *address)
{
    char wanted[PGK_ADDRESS_MAX_BYTES + 2];
    const char *line = recorder_expect(part->recorder, "leader ", WAIT_LONG_MS);
    size_t length = strlen(line);
    snprintf(wanted, sizeof(wanted), " %s", address != NULL ? address : "none");
    if (length < strlen(wanted) || strcmp(line + length - strlen(wanted), wanted) != 0) {
        fail_msg("told \"%s\" instead of%s", line, wanted);
    }
    line += strlen("leader ") + strlen(part->component) + 1;
    return address != NULL ? strtoll(line + PGK_UUID_TEXT_SIZE, NULL, 10) : 0;
}

void scene_depose(struct scene *s, struct part *part)
{
    s->mode->depose(s->cluster, part->component);
    part_revoked(part);
}

void scene_depose_once(struct scene *s, struct part *part)
{
    scene_depose(s, part);
    part_granted(part);
}

void scene_quiet(const struct scene *s)
{
    wait_pause_ms(s->mode->quiet_ms);
}

void scene_await_contender(struct scene *s, int member)
{
    char name[16];
    snprintf(name, sizeof(name), "m%d", member);
    if (s->mode->await_contender != NULL) {
        s->mode->await_contender(s->cluster, name);
    }
}

/* ------------------------------------------------------------------ files and processes */

static void make_directory(struct scene *s)
{
    if (s->dir[0] == '\0') {
        snprintf(s->dir, sizeof(s->dir), "/tmp/pgk-conformance-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
    }
}

const char *scene_path(struct scene *s, const char *name)
{
    char *path = s->path[s->next_path++ % 4];
    make_directory(s);
    snprintf(path, sizeof(s->path[0]), "%s/%s", s->dir, name);
    return path;
}

int scene_files(struct scene *s)
{
    make_directory(s);
    return directory_count(s->dir);
}

struct process *scene_probe(struct scene *s, const char **ret_word)
{
    const char *argv[6 + 2 * MODE_SETTINGS] = {"/proc/self/exe", "--probe", s->mode->name,
                                               s->cluster};
    char self[512];
    size_t count = 4;
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const struct setting *settings = s->mode->settings();
    assert_true(length > 0);
    self[length] = '\0';
    argv[0] = self;
    for (size_t i = 0; i < MODE_SETTINGS && settings[i].key != NULL; i++) {
        argv[count++] = settings[i].key;
        argv[count++] = settings[i].value;
    }
    argv[count] = NULL;
    struct process *process = process_start("probe", argv, NULL, 0, 0);
    const char *line = process_expect(process, "probe ", WAIT_LONG_MS);
    *ret_word = line + strlen("probe ");
    return process;
}
