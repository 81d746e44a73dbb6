/* core/outfile.c - see outfile.h. */
#include "core/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pgkeeper/uuid.h>

#include "core/error.h"
#include "core/flusher.h"
#include "core/text.h"

#define ORIGIN "file"
/* A file of so many bytes is flushed while it is written. */
#define FLUSHED_BYTES ((int64_t)8 * 1024 * 1024)

static pgk_status failed(const struct outfile *file, const char *what, pgk_error *err)
{
    char reason[128];
    char path[256];
    const char *text = strerror_r(errno, reason, sizeof(reason));
    text_excerpt(path, sizeof(path), file->path);
    return error_set(err, PGK_ERR_IO, ORIGIN, "\"%s\" cannot be %s: %s", path, what, text);
}

static void new_name(struct outfile *file)
{
    pgk_uuid id;
    char hex[PGK_UUID_HEX_SIZE];
    pgk_uuid_new(&id);
    pgk_uuid_format_hex(&id, hex);
    text_format(file->name, sizeof(file->name), ".pgkeeper-%s", hex);
}

static int open_dir(const struct outfile *file)
{
    char dir[OUTFILE_PLACE_SIZE];
    size_t length = (size_t)(file->last - file->path);
    if (length >= sizeof(dir)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(dir, file->path, length);
    dir[length] = '\0';
    return open(length > 0 ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* One without a name leaves nothing behind, even of a process that is killed; not every file system has
 * them. */
static int open_file(struct outfile *file)
{
    int fd = openat(file->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
        new_name(file);
        fd = openat(file->dir_fd, file->name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    }
    return fd;
}

/* That of what it will replace, before a byte is in it: nobody else may read it for a moment. */
static bool take_mode(const struct outfile *file)
{
    struct stat there;
    return fstatat(file->dir_fd, file->last, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
           !S_ISREG(there.st_mode) || fchmod(file->fd, there.st_mode & 0777) == 0;
}

pgk_status outfile_open(struct outfile *file, const char *path, pgk_error *err)
{
    const char *slash = strrchr(path, '/');
    *file = (struct outfile){
        .path = path, .dir_fd = -1, .fd = -1, .last = slash != NULL ? slash + 1 : path};
    if (file->last[0] == '\0') {
        errno = EISDIR;
        return failed(file, "written", err);
    }
    file->dir_fd = open_dir(file);
    if (file->dir_fd < 0) {
        return failed(file, "written", err);
    }
    file->fd = open_file(file);
    if (file->fd < 0) {
        file->name[0] = '\0';
    }
    if (file->fd < 0 || !take_mode(file)) {
        pgk_status status = failed(file, "written", err);
        outfile_close(file);
        return status;
    }
    return PGK_OK;
}

pgk_status outfile_write(struct outfile *file, const void *data, size_t bytes, pgk_error *err)
{
    const char *at = data;
    size_t all = bytes;
    while (bytes > 0) {
        ssize_t done = write(file->fd, at, bytes);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return failed(file, "written", err);
        }
        at += done;
        bytes -= (size_t)done;
    }
    file->written += (int64_t)all;
    if (file->flusher == NULL && file->written >= FLUSHED_BYTES) {
        file->flusher = flusher_start(file->fd);
    }
    flusher_add(file->flusher, all);
    return PGK_OK;
}

static bool end_flusher(struct outfile *file)
{
    int error = flusher_end(file->flusher);
    file->flusher = NULL;
    if (error != 0) {
        errno = error;
    }
    return error == 0;
}

pgk_status outfile_rewind(struct outfile *file, pgk_error *err)
{
    file->written = 0;
    if (!end_flusher(file) || ftruncate(file->fd, 0) != 0 || lseek(file->fd, 0, SEEK_SET) != 0) {
        return failed(file, "written", err);
    }
    return PGK_OK;
}

pgk_status outfile_flush(struct outfile *file, pgk_error *err)
{
    return end_flusher(file) && fsync(file->fd) == 0 ? PGK_OK
                                                     : failed(file, "flushed to disk", err);
}

static bool link_as(const struct outfile *file, const char *name)
{
    char self[32];
    text_format(self, sizeof(self), "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, self, file->dir_fd, name, AT_SYMLINK_FOLLOW) == 0;
}

/* To link can replace nothing: if something is there, under another name, and then renamed. */
static bool take_place(struct outfile *file)
{
    if (file->name[0] == '\0') {
        if (link_as(file, file->last)) {
            return true;
        }
        if (errno != EEXIST) {
            return false;
        }
        new_name(file);
        if (!link_as(file, file->name)) {
            file->name[0] = '\0';
            return false;
        }
    }
    if (renameat(file->dir_fd, file->name, file->dir_fd, file->last) != 0) {
        return false;
    }
    file->name[0] = '\0';
    return true;
}

pgk_status outfile_keep(struct outfile *file, pgk_error *err)
{
    return take_place(file) ? PGK_OK : failed(file, "put into its place", err);
}

void outfile_close(struct outfile *file)
{
    (void)end_flusher(file);
    if (file->name[0] != '\0') {
        unlinkat(file->dir_fd, file->name, 0);
        file->name[0] = '\0';
    }
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
    if (file->dir_fd >= 0) {
        close(file->dir_fd);
        file->dir_fd = -1;
    }
}
