/*
 * follower.c - a client that always knows who leads a component: it never contends and costs one
 * database session.
 *
 *     cc follower.c -o follower $(pkg-config --cflags --libs pgkeeper)
 *     ./follower dispatcher
 *
 * It takes libpq's environment (PGHOST ...) and PGKEEPER_* variables, and runs until SIGTERM or ^C.
 */
#include <pgkeeper/pgkeeper.h>
#include <signal.h>
#include <stdio.h>

/* Called when address or session id have changed; leader is NULL when there is none any more. */
static void on_leader(void *user, const pgk_leader *leader)
{
    const char *component = user;
    char session[PGK_UUID_TEXT_SIZE];

    if (leader == NULL) {
        printf("%s has no leader\n", component);
    } else {
        pgk_uuid_format(&leader->session_id, session);
        printf("%s is led from %s, session %s\n", component, leader->address, session);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char *component = argc > 1 ? argv[1] : "dispatcher";
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    pgk_retriever *retriever = NULL;
    pgk_status status;
    pgk_error err;
    sigset_t signals;
    int number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: all inherit it */

    if ((status = pgk_config_new(&config, &err)) == PGK_OK &&
        (status = pgk_config_load_environment(config, &err)) == PGK_OK &&
        (status = pgk_ha_open_client(config, &ha, &err)) == PGK_OK &&
        (status = pgk_ha_retriever(ha, component, &retriever, &err)) == PGK_OK &&
        (status = pgk_retriever_start(retriever, on_leader, component, &err)) == PGK_OK) {
        sigwait(&signals, &number);
        pgk_ha_close(ha, NULL); /* no callback comes after this */
    } else {
        fprintf(stderr, "%s: %s\n", pgk_status_name(status), err.message);
    }
    pgk_retriever_free(retriever);
    pgk_ha_free(ha);
    pgk_config_free(config);
    return status == PGK_OK ? 0 : 1;
}
