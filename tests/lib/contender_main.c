/*
 * tests/lib/contender_main.c - a master as a process of its own, for tests that stop, kill and cut it.
 *
 * It contends for components, follows others, prints one line per event with CLOCK_BOOTTIME, takes
 * commands on stdin, and samples has_leadership every millisecond into a belief book. Events are printed
 * by the notifier thread, answers by the main thread, `resumed` by the sampler.
 *
 *   --conninfo TEXT --cluster ID --name NAME      the handle; --set KEY=VALUE (repeatable) any other key
 *   --component C (repeatable) [--group G] [--address A | --no-confirm] [--slow-ms N]
 *   --follow C (repeatable)  --client  --belief FILE  --write-conninfo TEXT
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pgkeeper/pgkeeper.h>

#include "belief.h"
#include "contender_write.h"
#include "wait.h"

#define MAX_CONTESTS 8
/* A sample this late means that the process was stopped. */
#define STOPPED_NS (150 * WAIT_NS_PER_MS)

struct contest {
    const char *component;
    pgk_election *election;
    struct contender *self;
    struct belief *belief;
};

struct follow {
    const char *component;
    pgk_retriever *retriever;
};

struct contender {
    const char *name;
    const char *group;
    const char *address;
    const char *belief_path;
    const char *write_conninfo;
    bool client;
    bool confirm;
    int slow_ms;
    pgk_config *config;
    pgk_ha *ha;
    struct contest contests[MAX_CONTESTS];
    size_t contest_count;
    struct follow follows[MAX_CONTESTS];
    size_t follow_count;
    struct belief_book *book;
    pthread_t sampler;
    atomic_bool stop;
    struct contender_writer *writer;
};

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

/* One write per line, so that lines of several threads do not mix. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (size < 0) {
        return;
    }
    size_t length = (size_t)size < sizeof(line) - 1 ? (size_t)size : sizeof(line) - 2;
    line[length] = '\n';
    (void)!write(STDOUT_FILENO, line, length + 1);
}

/* Warnings are told; all lines go to stderr with PGK_TEST_LOG in the environment. */
static void on_log(void *user, pgk_log_level level, const char *context, const char *message)
{
    const struct contender *self = user;
    if (level >= PGK_LOG_WARNING) {
        say("warning %s", message);
    }
    if (getenv("PGK_TEST_LOG") != NULL) {
        dprintf(STDERR_FILENO, "%lld %s %d %s: %s\n", (long long)wait_now_ns(), self->name, level,
                context, message);
    }
}

static void say_status(const char *what, const char *component, pgk_status status,
                       const pgk_error *err)
{
    say("%s %s %s %s %s", what, component, pgk_status_name(status),
        status == PGK_OK ? "-" : or_dash(err->sqlstate), status == PGK_OK ? "" : err->message);
}

static void confirm_address(struct contest *contest, const pgk_uuid *session_id,
                            const char *address)
{
    pgk_error err;
    pgk_status status = pgk_election_confirm(contest->election, session_id, address, &err);
    say_status("confirmed", contest->component, status, &err);
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct contest *contest = user;
    struct contender *self = contest->self;
    char session[PGK_UUID_TEXT_SIZE];
    int64_t now_ns = wait_now_ns();
    pgk_uuid_format(session_id, session);
    contender_writer_note(self->writer, contest->election);
    say("grant %s %s %lld deadline=%lld at=%lld", contest->component, session, (long long)epoch,
        (long long)pgk_election_deadline_ns(contest->election, session_id), (long long)now_ns);
    if (self->confirm) {
        confirm_address(contest, session_id, self->address);
    }
    if (self->slow_ms > 0) {
        wait_pause_ms(self->slow_ms);
    }
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct contest *contest = user;
    char session[PGK_UUID_TEXT_SIZE];
    bool believes = pgk_election_has_leadership(contest->election, session_id);
    int64_t now_ns = wait_now_ns();
    if (!believes) { /* the sampler may come to it later, or not at all before the end */
        belief_all_seen_false(contest->self->book, contest->self->name, epoch, now_ns);
    }
    pgk_uuid_format(session_id, session);
    say("revoke %s %s %lld believes=%d at=%lld", contest->component, session, (long long)epoch,
        believes, (long long)now_ns);
}

static void on_error(void *user, const pgk_error *error)
{
    struct contest *contest = user;
    say("error %s %s %s %s", contest->component, pgk_status_name(error->status),
        or_dash(error->sqlstate), error->message);
}

static void on_leader(void *user, const pgk_leader *leader)
{
    struct follow *follow = user;
    int64_t now_ns = wait_now_ns();
    if (leader == NULL) {
        say("leader %s none at=%lld", follow->component, (long long)now_ns);
        return;
    }
    char session[PGK_UUID_TEXT_SIZE];
    pgk_uuid_format(&leader->session_id, session);
    say("leader %s %s %lld %s at=%lld", follow->component, session, (long long)leader->epoch,
        leader->address, (long long)now_ns);
}

/* One look at one contest. */
static void sample(struct contest *contest, bool was_stopped)
{
    pgk_token token;
    int64_t before_ns = wait_now_ns();
    int64_t deadline_ns = 0;
    bool believes = pgk_election_token(contest->election, &token, NULL) == PGK_OK &&
                    pgk_election_has_leadership(contest->election, &token.session_id);
    if (believes) {
        deadline_ns = pgk_election_deadline_ns(contest->election, &token.session_id);
        believes = deadline_ns != 0;
    }
    if (was_stopped) {
        say("resumed %s believes=%d at=%lld", contest->component, believes, (long long)before_ns);
    }
    struct belief *belief = contest->belief;
    if (belief != NULL && (!believes || belief->epoch != token.epoch)) {
        belief_seen_false(belief, wait_now_ns());
        contest->belief = NULL;
    }
    if (believes) {
        if (contest->belief == NULL) {
            contest->belief =
                belief_begin(contest->self->book, contest->self->name, token.epoch, before_ns);
        }
        if (contest->belief != NULL) {
            atomic_store(&contest->belief->deadline_ns, deadline_ns);
            atomic_store(&contest->belief->last_true_ns, before_ns);
        }
    }
}

static void *run_sampler(void *arg)
{
    struct contender *self = arg;
    int64_t last_ns = wait_now_ns();
    while (!atomic_load(&self->stop)) {
        int64_t now_ns = wait_now_ns();
        bool was_stopped = now_ns - last_ns > STOPPED_NS;
        last_ns = now_ns;
        for (size_t i = 0; i < self->contest_count; i++) {
            sample(&self->contests[i], was_stopped);
        }
        wait_pause_ms(1);
    }
    return NULL;
}

static void set_key(struct contender *self, const char *key, const char *value)
{
    pgk_error err;
    if (pgk_config_set(self->config, key, value, &err) != PGK_OK) {
        say_status("open", "-", err.status, &err);
        exit(2);
    }
}

static void set_pair(struct contender *self, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL) {
        exit(2);
    }
    char *key = strndup(pair, (size_t)(equals - pair));
    set_key(self, key, equals + 1);
    free(key);
}

static void add_component(struct contender *self, const char *component)
{
    if (self->contest_count == MAX_CONTESTS) {
        exit(2);
    }
    self->contests[self->contest_count++] = (struct contest){.component = component, .self = self};
}

static void take_option(struct contender *self, int option, const char *value)
{
    switch (option) {
    case 'd':
        set_key(self, "high-availability.postgres.uri", value);
        self->write_conninfo = self->write_conninfo != NULL ? self->write_conninfo : value;
        break;
    case 'c':
        set_key(self, "high-availability.cluster-id", value);
        break;
    case 'n':
        self->name = value;
        set_key(self, "member.name", value);
        break;
    case 's':
        set_pair(self, value);
        break;
    case 'C':
        add_component(self, value);
        break;
    case 'g':
        self->group = value;
        break;
    case 'a':
        self->address = value;
        break;
    case 'N':
        self->confirm = false;
        break;
    case 'w':
        self->slow_ms = (int)strtol(value, NULL, 10);
        break;
    case 'f':
        self->follows[self->follow_count++ % MAX_CONTESTS].component = value;
        break;
    case 'l':
        self->client = true;
        break;
    case 'b':
        self->belief_path = value;
        break;
    case 'W':
        self->write_conninfo = value;
        break;
    default:
        exit(2);
    }
}

static void read_options(struct contender *self, int argc, char **argv)
{
    static const struct option options[] = {{"conninfo", required_argument, NULL, 'd'},
                                            {"cluster", required_argument, NULL, 'c'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"set", required_argument, NULL, 's'},
                                            {"component", required_argument, NULL, 'C'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"no-confirm", no_argument, NULL, 'N'},
                                            {"slow-ms", required_argument, NULL, 'w'},
                                            {"follow", required_argument, NULL, 'f'},
                                            {"client", no_argument, NULL, 'l'},
                                            {"belief", required_argument, NULL, 'b'},
                                            {"write-conninfo", required_argument, NULL, 'W'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        take_option(self, option, optarg);
    }
}

static bool open_handle(struct contender *self)
{
    pgk_error err;
    pgk_status status = self->client ? pgk_ha_open_client(self->config, &self->ha, &err)
                                     : pgk_ha_open(self->config, &self->ha, &err);
    say_status("open", "-", status, &err);
    return status == PGK_OK;
}

static void start_contests(struct contender *self)
{
    static const pgk_contender callbacks = {
        .size = sizeof(callbacks), .grant = on_grant, .revoke = on_revoke, .error = on_error};
    pgk_error err;
    for (size_t i = 0; i < self->contest_count; i++) {
        struct contest *contest = &self->contests[i];
        pgk_status status =
            self->group != NULL
                ? pgk_ha_election_in_group(self->ha, contest->component, self->group,
                                           &contest->election, &err)
                : pgk_ha_election(self->ha, contest->component, &contest->election, &err);
        if (status != PGK_OK) {
            say_status("started", contest->component, status, &err);
            exit(3);
        }
    }
    if (self->belief_path != NULL) {
        self->book = belief_book_open(self->belief_path);
        if (self->book == NULL || pthread_create(&self->sampler, NULL, run_sampler, self) != 0) {
            perror("belief");
            exit(3);
        }
    }
    for (size_t i = 0; i < self->contest_count; i++) {
        struct contest *contest = &self->contests[i];
        pgk_contender contender = callbacks;
        contender.user = contest;
        pgk_status status = pgk_election_start(contest->election, &contender, &err);
        say_status("started", contest->component, status, &err);
    }
}

static void start_follows(struct contender *self)
{
    pgk_error err;
    for (size_t i = 0; i < self->follow_count; i++) {
        struct follow *follow = &self->follows[i];
        pgk_status status = pgk_ha_retriever(self->ha, follow->component, &follow->retriever, &err);
        if (status == PGK_OK) {
            status = pgk_retriever_start(follow->retriever, on_leader, follow, &err);
        }
        say_status("following", follow->component, status, &err);
    }
}

static void say_state(struct contest *contest)
{
    pgk_token token;
    pgk_error err;
    if (pgk_election_token(contest->election, &token, &err) != PGK_OK) {
        say("status %s 0 0 at=%lld", contest->component, (long long)wait_now_ns());
        return;
    }
    say("status %s %d %lld at=%lld", contest->component,
        pgk_election_has_leadership(contest->election, &token.session_id),
        (long long)pgk_election_deadline_ns(contest->election, &token.session_id),
        (long long)wait_now_ns());
}

static void say_token(struct contest *contest)
{
    pgk_token token;
    pgk_error err;
    pgk_status status = pgk_election_token(contest->election, &token, &err);
    if (status != PGK_OK) {
        say_status("token", contest->component, status, &err);
        return;
    }
    char session[PGK_UUID_TEXT_SIZE];
    pgk_uuid_format(&token.session_id, session);
    say("token %s PGK_OK %d %lld %s %s", contest->component, token.leadership_id,
        (long long)token.epoch, session, token.epoch_text);
}

static void confirm_now(struct contest *contest, const char *address)
{
    pgk_token token;
    pgk_error err;
    pgk_status status = pgk_election_token(contest->election, &token, &err);
    if (status != PGK_OK) {
        say_status("confirmed", contest->component, status, &err);
        return;
    }
    confirm_address(contest, &token.session_id, address);
}

static void say_retrieved(struct follow *follow)
{
    pgk_leader leader;
    pgk_error err;
    pgk_status status = pgk_retriever_get(follow->retriever, &leader, &err);
    say("got %s %s %s", follow->component, pgk_status_name(status),
        status == PGK_OK ? leader.address : "-");
}

/* Commands that act on one election: "<verb>" for the first, "<verb> <index>" for another. */
static bool obey_contest(struct contender *self, const char *verb, const char *rest)
{
    pgk_error err;
    size_t index = (size_t)strtoul(rest, NULL, 10) % MAX_CONTESTS;
    struct contest *contest = &self->contests[index];
    if (strcmp(verb, "resign") == 0) {
        pgk_status status = pgk_election_resign(contest->election, &err);
        say_status("resigned", contest->component, status, &err);
    } else if (strcmp(verb, "close") == 0) {
        pgk_status status = pgk_election_close(contest->election, &err);
        say_status("closed", contest->component, status, &err);
    } else if (strcmp(verb, "status") == 0) {
        say_state(contest);
    } else if (strcmp(verb, "token") == 0) {
        say_token(contest);
    } else if (strcmp(verb, "confirm") == 0) {
        confirm_now(&self->contests[0], rest);
    } else if (strcmp(verb, "get") == 0) {
        say_retrieved(&self->follows[index]);
    } else {
        return false;
    }
    return true;
}

static int close_handle(struct contender *self)
{
    pgk_error err;
    pgk_status status = pgk_ha_close(self->ha, &err);
    atomic_store(&self->stop, true);
    if (self->book != NULL) {
        pthread_join(self->sampler, NULL);
    }
    for (size_t i = 0; i < self->contest_count; i++) {
        pgk_election_free(self->contests[i].election);
    }
    for (size_t i = 0; i < self->follow_count; i++) {
        pgk_retriever_free(self->follows[i].retriever);
    }
    pgk_ha_free(self->ha);
    pgk_config_free(self->config);
    belief_book_close(self->book);
    contender_writer_free(self->writer);
    say_status("quit", "-", status, &err);
    return status == PGK_OK ? 0 : 1;
}

static int obey_commands(struct contender *self)
{
    char line[1200];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *rest = strchr(line, ' ');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        if (strcmp(line, "quit") == 0) {
            return close_handle(self);
        }
        if (strcmp(line, "exit") == 0) {
            _exit(9);
        }
        char answer[600];
        if (contender_writer_obey(self->writer, line, answer, sizeof(answer))) {
            say("%s %s", line, answer);
        } else if (!obey_contest(self, line, rest != NULL ? rest : "")) {
            say("unknown command %s", line);
        }
    }
    return close_handle(self);
}

int main(int argc, char **argv)
{
    static struct contender self = {.name = "contender", .address = "nowhere", .confirm = true};
    if (pgk_config_new(&self.config, NULL) != PGK_OK) {
        return 2;
    }
    read_options(&self, argc, argv);
    pgk_config_set_log(self.config, on_log, &self);
    self.writer = contender_writer_new(self.write_conninfo, self.name);
    if (!open_handle(&self)) {
        pgk_config_free(self.config);
        contender_writer_free(self.writer);
        return 3;
    }
    start_contests(&self);
    start_follows(&self);
    return obey_commands(&self);
}
