/*
 * pgserver/layout.c - directories and files of one private server. Never starts anything.
 * Paths are checked for the 107 bytes that a unix socket's name may have.
 */
#include "pgserver/layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"

#define ORIGIN "pgserver"
#define BASE_NAME "/pgk-XXXXXX"
#define SOCKET_NAME "/.s.PGSQL.65535"
#define PORT_FIRST 15000
#define PORT_COUNT 17000

/* Every part of an absolute path can be entered by anybody: a dropped user must get through. */
static bool open_to_all(const char *path)
{
    char part[PATH_MAX];
    struct stat info;

    for (size_t i = 1; path[i - 1] != '\0' && i < sizeof(part); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (stat(part, &info) != 0 || (info.st_mode & S_IXOTH) == 0)
            return false;
    }
    return true;
}

static const char *parent_dir(const struct run_as *run_as)
{
    const char *dir = getenv("TMPDIR");
    struct sockaddr_un address;

    if (dir == NULL || dir[0] != '/' || access(dir, W_OK | X_OK) != 0)
        return "/tmp";
    if (strlen(dir) + sizeof(BASE_NAME SOCKET_NAME) > sizeof(address.sun_path))
        return "/tmp";
    if (run_as->drop && !open_to_all(dir))
        return "/tmp";
    return dir;
}

static pgk_status give(const char *path, const struct run_as *run_as, pgk_error *err)
{
    if (run_as->drop && chown(path, run_as->uid, run_as->gid) != 0)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot give %s to user %ld: %s", path,
                         (long)run_as->uid, strerror(errno));
    return PGK_OK;
}

static pgk_status make_kept(const char *directory, const struct run_as *run_as, char *ret_path,
                            pgk_error *err)
{
    if (mkdir(directory, 0700) == 0) {
        pgk_status status = give(directory, run_as, err);
        if (status != PGK_OK)
            return status;
    } else if (errno != EEXIST) {
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot make the directory %s: %s", directory,
                         strerror(errno));
    }
    if (realpath(directory, ret_path) == NULL)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot use the directory %s: %s", directory,
                         strerror(errno));
    char *slash = strrchr(ret_path, '/');
    *slash = '\0';
    bool reachable = !run_as->drop || ret_path[0] == '\0' || open_to_all(ret_path);
    *slash = '/';
    if (!reachable)
        return error_set(
            err, PGK_ERR_IO, ORIGIN,
            "PostgreSQL runs as user %ld here, which cannot reach %s; name a directory whose "
            "parents are open to all",
            (long)run_as->uid, directory);
    return PGK_OK;
}

static bool join(char out[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX;
}

pgk_status layout_make(const struct run_as *run_as, const char *directory,
                       struct layout *ret_layout, pgk_error *err)
{
    char kept[PATH_MAX];
    pgk_status status = PGK_OK;

    snprintf(ret_layout->base, sizeof(ret_layout->base), "%s%s", parent_dir(run_as), BASE_NAME);
    if (mkdtemp(ret_layout->base) == NULL)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot make a directory %s: %s",
                         ret_layout->base, strerror(errno));
    status = give(ret_layout->base, run_as, err);
    if (status == PGK_OK && directory != NULL)
        status = make_kept(directory, run_as, kept, err);
    const char *home = directory != NULL ? kept : ret_layout->base;
    if (status == PGK_OK &&
        (!join(ret_layout->data, home, "data") || !join(ret_layout->log, home, "server.log")))
        status =
            error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "the directory's path is too long");
    if (status != PGK_OK)
        rmdir(ret_layout->base);
    return status;
}

static void write_setting(FILE *file, const char *setting)
{
    size_t name = strcspn(setting, "=");

    fprintf(file, "%.*s = '", (int)name, setting);
    for (const char *c = setting + name + (setting[name] == '='); *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            fputc(*c, file);
        fputc(*c, file);
    }
    fputs("'\n", file);
}

pgk_status layout_write_conf(const struct layout *layout, const struct run_as *run_as, bool tcp,
                             int port, const char *const *settings, pgk_error *err)
{
    char path[PATH_MAX];

    if (!join(path, layout->data, "postgresql.conf"))
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "the directory's path is too long");
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot write %s: %s", path, strerror(errno));
    fprintf(file,
            "# Written anew by pgserver whenever the server is made; ALTER SYSTEM lasts.\n"
            "listen_addresses = '%s'\nport = %d\nunix_socket_directories = '%s'\n"
            "fsync = on\nshared_buffers = '32MB'\nmax_connections = 200\nwal_keep_size = '64MB'\n"
            "max_wal_size = '256MB'\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
            /* In the data directory, so that what a killed server leaves goes with it. */
            "dynamic_shared_memory_type = mmap\n"
            "log_line_prefix = '%%m [%%p] %%a '\n",
            tcp ? "127.0.0.1" : "", port, layout->base);
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++)
        write_setting(file, settings[i]);
    bool good = ferror(file) == 0;
    if (fclose(file) != 0 || !good)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot write %s: %s", path, strerror(errno));
    return give(path, run_as, err);
}

static bool port_is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return bound;
}

pgk_status layout_free_port(int *ret_port, pgk_error *err)
{
    for (int i = 0; i < 200; i++) {
        unsigned int number = 0;
        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
            continue;
        int port = PORT_FIRST + (int)(number % PORT_COUNT);
        if (!port_is_free(port))
            continue;
        *ret_port = port;
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_RESOURCE, ORIGIN,
                     "found no free port on 127.0.0.1 between %d and %d", PORT_FIRST,
                     PORT_FIRST + PORT_COUNT - 1);
}

long layout_log_size(const struct layout *layout)
{
    struct stat info;

    return stat(layout->log, &info) == 0 ? (long)info.st_size : 0;
}

void layout_log_since(const struct layout *layout, long offset, struct output *ret_tail)
{
    long size = layout_log_size(layout);
    long room = (long)sizeof(ret_tail->text) - 1;
    int fd = open(layout->log, O_RDONLY | O_CLOEXEC);

    ret_tail->length = 0;
    if (fd >= 0) {
        long from = size - offset > room ? size - room : offset;
        ssize_t got = pread(fd, ret_tail->text, (size_t)room, from);
        ret_tail->length = got > 0 ? (size_t)got : 0;
        close(fd);
    }
    ret_tail->text[ret_tail->length] = '\0';
}
