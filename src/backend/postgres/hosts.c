/* backend/postgres/hosts.c - see hosts.h. */
#include "backend/postgres/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "core/error.h"

#define ORIGIN "session"
#define OWN_PARAMS 9

static const PQconninfoOption *find_option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0) {
            return options;
        }
    }
    return NULL;
}

/* The value written in the conninfo, or else the one libpq would take from its environment. */
static const char *option_value(const PQconninfoOption *options, const PQconninfoOption *defaults,
                                const char *keyword)
{
    const PQconninfoOption *option = find_option(options, keyword);
    if (option != NULL && option->val != NULL) {
        return option->val;
    }
    option = defaults != NULL ? find_option(defaults, keyword) : NULL;
    return option != NULL ? option->val : NULL;
}

static size_t count_items(const char *list)
{
    size_t count = 1;
    if (list == NULL || *list == '\0') {
        return 0;
    }
    for (; *list != '\0'; list++) {
        count += *list == ',';
    }
    return count;
}

/* Item `index` of a comma list, a copy; a list of one serves every index. NULL: out of memory. */
static char *copy_item(const char *list, size_t index)
{
    size_t count = count_items(list);
    const char *start = list;
    if (count == 0) {
        return strdup("");
    }
    if (count == 1) {
        return strdup(list);
    }
    for (; index > 0; index--) {
        start = strchr(start, ',') + 1;
    }
    return strndup(start, strcspn(start, ","));
}

static pgk_status check_counts(size_t hosts, size_t hostaddrs, size_t ports, pgk_error *err)
{
    size_t count = hosts > hostaddrs ? hosts : hostaddrs;
    if (hosts > 0 && hostaddrs > 0 && hosts != hostaddrs) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "high-availability.postgres.uri names %zu hosts and %zu addresses; give "
                         "as many of each",
                         hosts, hostaddrs);
    }
    if (ports > 1 && ports != count) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "high-availability.postgres.uri names %zu ports for %zu hosts; give one "
                         "port, or one each",
                         ports, count);
    }
    return PGK_OK;
}

/* Keywords that say where to; they are replaced per host when several are named. */
static bool is_place(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0;
}

static bool fill_host(struct host_list *list, size_t index, const PQconninfoOption *options,
                      const char *const place[3], const char *application_name,
                      const char *tcp_user_timeout)
{
    const char *own[][2] = {
        {"client_encoding", "UTF8"},
        {"application_name", application_name},
        {"keepalives", "1"},
        {"keepalives_idle", "1"},
        {"keepalives_interval", "1"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", tcp_user_timeout},
    };
    static const char *const places[3] = {"host", "hostaddr", "port"};
    struct host_params *host = &list->hosts[index];
    size_t options_count = 0;
    size_t n = 0;

    while (options[options_count].keyword != NULL) {
        options_count++;
    }
    host->keywords = calloc(options_count + OWN_PARAMS + 4, sizeof(*host->keywords));
    host->values = calloc(options_count + OWN_PARAMS + 4, sizeof(*host->values));
    if (host->keywords == NULL || host->values == NULL) {
        return false;
    }
    for (size_t i = 0; i < options_count; i++) {
        if (options[i].val != NULL && !is_place(options[i].keyword)) {
            host->keywords[n] = options[i].keyword;
            host->values[n++] = options[i].val;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        char *item = place[i] != NULL ? copy_item(place[i], index) : NULL;
        if (place[i] != NULL && item == NULL) {
            return false;
        }
        if (item != NULL) {
            list->pieces[index * 3 + i] = item;
            if (*item != '\0') {
                host->keywords[n] = places[i];
                host->values[n++] = item;
            }
        }
    }
    /* Last: libpq takes the last value of a keyword. */
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        host->keywords[n] = own[i][0];
        host->values[n++] = own[i][1];
    }
    const char *shown =
        list->pieces[index * 3] != NULL ? list->pieces[index * 3] : list->pieces[index * 3 + 1];
    const char *port = list->pieces[index * 3 + 2];
    int length = shown == NULL                   ? asprintf(&host->label, "the default host")
                 : port == NULL || *port == '\0' ? asprintf(&host->label, "%s", shown)
                                                 : asprintf(&host->label, "%s:%s", shown, port);
    if (length < 0) {
        host->label = NULL;
        return false;
    }
    return true;
}

static pgk_status out_of_memory(struct host_list *list, PQconninfoOption *defaults, pgk_error *err)
{
    PQconninfoFree(defaults);
    host_list_free(list);
    return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN,
                     "out of memory reading the connection parameters");
}

pgk_status host_list_new(const char *uri, const char *application_name, int tcp_user_timeout_ms,
                         struct host_list **ret_list, pgk_error *err)
{
    char *complaint = NULL;
    struct host_list *list = calloc(1, sizeof(*list));
    PQconninfoOption *options = PQconninfoParse(uri, &complaint);
    if (list == NULL || options == NULL) {
        /* libpq's own words may quote a password, so only their kind is told. */
        PQfreemem(complaint);
        PQconninfoFree(options);
        free(list);
        return error_set(
            err, PGK_ERR_CONFIG, ORIGIN,
            "high-availability.postgres.uri is neither a conninfo (host=... dbname=...) nor a "
            "postgresql:// URI that libpq can read");
    }
    list->options = options;
    PQconninfoOption *defaults = PQconndefaults();
    const char *place[3] = {option_value(options, defaults, "host"),
                            option_value(options, defaults, "hostaddr"),
                            option_value(options, defaults, "port")};
    size_t hosts = count_items(place[0]);
    size_t hostaddrs = count_items(place[1]);
    pgk_status status = check_counts(hosts, hostaddrs, count_items(place[2]), err);
    if (status != PGK_OK) {
        PQconninfoFree(defaults);
        host_list_free(list);
        return status;
    }
    list->count = hosts > hostaddrs ? hosts : hostaddrs;
    list->count = list->count == 0 ? 1 : list->count;
    list->hosts = calloc(list->count, sizeof(*list->hosts));
    /* Three places per host, then the two texts of our own. */
    list->pieces = calloc(list->count * 3 + 2, sizeof(*list->pieces));
    if (list->hosts == NULL || list->pieces == NULL) {
        return out_of_memory(list, defaults, err);
    }
    char **own = list->pieces + list->count * 3;
    own[0] = strdup(application_name);
    if (own[0] == NULL || asprintf(&own[1], "%d", tcp_user_timeout_ms) < 0) {
        own[1] = NULL;
        return out_of_memory(list, defaults, err);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!fill_host(list, i, options, place, own[0], own[1])) {
            return out_of_memory(list, defaults, err);
        }
    }
    PQconninfoFree(defaults);
    *ret_list = list;
    return PGK_OK;
}

void host_list_free(struct host_list *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; list->hosts != NULL && i < list->count; i++) {
        free(list->hosts[i].keywords);
        free(list->hosts[i].values);
        free(list->hosts[i].label);
    }
    for (size_t i = 0; list->pieces != NULL && i < list->count * 3 + 2; i++) {
        free(list->pieces[i]);
    }
    free(list->hosts);
    free(list->pieces);
    PQconninfoFree(list->options);
    free(list);
}
