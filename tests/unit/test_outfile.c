/*
 * Tests of core/outfile and core/flusher: a file that cannot be flushed while it is written.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/outfile.h"
#include "wait.h"

#define MANY_BYTES ((size_t)32 * 1024 * 1024)

struct place {
    char dir[64];
    char path[96];
};

/* A directory with a file in it that says "before". */
static void place_make(struct place *place)
{
    snprintf(place->dir, sizeof(place->dir), "/tmp/pgk-outfile-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof(place->path), "%s/target", place->dir);
    int fd = open(place->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "before", 6), 6);
    close(fd);
}

/* The only file of the directory; its first bytes, and how many it has. */
static void place_holds(struct place *place, const char *text, int64_t bytes)
{
    char begin[16] = "";
    int fd = open(place->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, begin, strlen(text)) > 0);
    assert_string_equal(begin, text);
    assert_int_equal(lseek(fd, 0, SEEK_END), bytes);
    close(fd);
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(rmdir(place->dir), 0);
}

/* How many threads of this process have a name that begins so? They have it soon after their start. */
static int threads(const char *name)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        char path[320];
        char comm[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            count +=
                fgets(comm, sizeof(comm), file) != NULL && strncmp(comm, name, strlen(name)) == 0;
            fclose(file);
        }
    }
    closedir(tasks);
    return count;
}

static void write_many(struct outfile *file, const char *begin)
{
    pgk_error err;
    char *bytes = calloc(1, MANY_BYTES);
    assert_non_null(bytes);
    memcpy(bytes, begin, strlen(begin));
    assert_int_equal(outfile_write(file, bytes, MANY_BYTES, &err), PGK_OK);
    free(bytes);
}

static void test_outfile__many_bytes__replace_what_was_there_only_when_kept(void **state)
{
    (void)state;
    struct place place;
    struct outfile file;
    pgk_error err;
    place_make(&place);
    assert_int_equal(outfile_open(&file, place.path, &err), PGK_OK);
    write_many(&file, "first");
    assert_int_equal(outfile_rewind(&file, &err), PGK_OK);
    write_many(&file, "second");
    WAIT_UNTIL(threads("pgk-flush") == 1, WAIT_LONG_MS);
    assert_int_equal(outfile_flush(&file, &err), PGK_OK);
    WAIT_UNTIL(threads("pgk-flush") == 0, WAIT_LONG_MS);
    assert_int_equal(outfile_keep(&file, &err), PGK_OK);
    outfile_close(&file);
    place_holds(&place, "second", (int64_t)MANY_BYTES);
}

/* /dev/null takes everything and cannot be flushed. By the end of it the descriptor is the file's again, and fsync() finds
 * nothing wrong: as the system does, which tells of bytes that it has lost only once. */
static void test_outfile__not_flushed_on_the_way__is_told_at_the_end(void **state)
{
    (void)state;
    struct place place;
    struct outfile file;
    pgk_error err;
    int before = threads(""); /* a sanitizer's too, which the test above made it start */
    place_make(&place);
    assert_int_equal(outfile_open(&file, place.path, &err), PGK_OK);
    int real = dup(file.fd);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(real >= 0 && null >= 0);
    assert_int_equal(dup2(null, file.fd), file.fd);
    write_many(&file, "after");
    WAIT_UNTIL(threads("") == before, WAIT_LONG_MS); /* it has given up */
    assert_int_equal(dup2(real, file.fd), file.fd);
    assert_int_equal(outfile_flush(&file, &err), PGK_ERR_IO);
    assert_non_null(strstr(err.message, "cannot be flushed to disk: Invalid argument"));
    close(real);
    close(null);
    outfile_close(&file);
    place_holds(&place, "before", 6);
}

static void test_outfile__what_it_replaces_is_private__it_is_so_from_the_start(void **state)
{
    struct place place;
    struct outfile file;
    struct stat there;
    pgk_error err;
    (void)state;
    place_make(&place);
    mode_t mask = umask(022);
    assert_int_equal(outfile_open(&file, place.path, &err), PGK_OK);
    assert_int_equal(fstat(file.fd, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
    assert_int_equal(outfile_write(&file, "after", 5, &err), PGK_OK);
    assert_int_equal(outfile_flush(&file, &err), PGK_OK);
    assert_int_equal(outfile_keep(&file, &err), PGK_OK);
    outfile_close(&file);
    umask(mask);
    assert_int_equal(stat(place.path, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
    place_holds(&place, "after", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outfile__what_it_replaces_is_private__it_is_so_from_the_start),
        cmocka_unit_test(test_outfile__many_bytes__replace_what_was_there_only_when_kept),
        cmocka_unit_test(test_outfile__not_flushed_on_the_way__is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
