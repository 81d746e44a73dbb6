/*
 * tests/postgres/test_blob_files.c - where blobs come from and go to: files that cannot be read, that change or shrink while
 * they are read, links, pipes; targets in missing directories, on a full disk, that are there already; memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blob_tools.h"

static void test_blob_files__a_source_that_cannot_be_read__says_why_and_stores_nothing(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key = {.type = PGK_BLOB_PERMANENT};
    blob_yard_open(&yard, *state);
    const struct {
        const char *path;
        const char *reason;
    } cases[] = {
        {yard_path(&yard, "missing"), "No such file"},
        {yard.dir, "Is a directory"},
        {"/proc/self/mem", "Input/output error"},
        {"/etc/passwd/x", "Not a directory"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        STORE_FAILS(PGK_ERR_IO, &err,
                    pgk_blobs_put_file(yard.blobs, NULL, &key, cases[i].path, &err));
        if (strstr(err.message, cases[i].reason) == NULL ||
            strstr(err.message, cases[i].path) == NULL) {
            fail_msg("%s", err.message);
        }
    }
    assert_int_equal(objects_count(yard.fixture), 0);
    blob_yard_close(&yard);
}

/* Changes the file when some of it has been sent. */
struct changing {
    const char *path;
    const char *how;
    bool done;
};

static pgk_status change(void *user, int64_t done, int64_t total)
{
    struct changing *c = user;
    if (!c->done && done > 0 && done < total) {
        c->done = true;
        if (strcmp(c->how, "shrinks") == 0) {
            assert_int_equal(truncate(c->path, 18 * (off_t)MIB), 0);
        } else {
            int fd = open(c->path, O_WRONLY | (strcmp(c->how, "grows") == 0 ? O_APPEND : 0));
            wait_pause_ms(10); /* longer than the clock of the file system ticks */
            assert_int_equal(write(fd, "other", 5), 5);
            close(fd);
        }
    }
    return PGK_OK;
}

static void test_blob_files__a_file_that_changes_meanwhile__is_not_stored(void **state)
{
    static const char *const ways[] = {"shrinks", "grows", "changes"};
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    blob_yard_open(&yard, *state);
    const char *path = yard_path(&yard, "in");
    for (int i = 0; i < 3; i++) {
        struct changing changing = {.path = path, .how = ways[i]};
        pattern_file(path, 24 * MIB, 1);
        pgk_blob_source source = {
            .size = sizeof(source), .path = path, .progress = change, .progress_user = &changing};
        STORE_FAILS(PGK_ERR_IO, &err,
                    pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
        assert_true(changing.done);
        assert_non_null(strstr(err.message, "changed while it was read"));
    }
    db_wait(yard.fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pgkeeper.blob_sweep(), pgkeeper.blob_loose");
    assert_int_equal(objects_count(yard.fixture), 0);
    blob_yard_close(&yard);
}

static void test_blob_files__links__are_followed_by_put_and_replaced_by_get(void **state)
{
    struct blob_yard yard;
    struct stat stat_of;
    pgk_error err;
    pgk_blob_key key;
    blob_yard_open(&yard, *state);
    const char *file = yard_path(&yard, "file");
    const char *link_path = yard_path(&yard, "link");
    pattern_file(file, 100, 1);
    assert_int_equal(symlink("file", link_path), 0);
    STORE_WORKS(&err, pgk_blob_key_new_file(PGK_BLOB_PERMANENT, link_path, &key, &err));
    STORE_WORKS(&err, pgk_blobs_put_file(yard.blobs, NULL, &key, link_path, &err));
    pattern_file(file, 50, 2);
    STORE_WORKS(&err, pgk_blobs_get_file(yard.blobs, NULL, &key, link_path, &err));
    assert_true(pattern_is(link_path, 100, 1));
    assert_int_equal(lstat(link_path, &stat_of), 0);
    assert_true(S_ISREG(stat_of.st_mode));
    assert_true(pattern_is(file, 50, 2)); /* what it led to is as it was */
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(symlink("nowhere", link_path), 0);
    STORE_FAILS(PGK_ERR_IO, &err, pgk_blobs_put_file(yard.blobs, NULL, &key, link_path, &err));
    blob_yard_close(&yard);
}

static void *feed(void *arg)
{
    unsigned char *data = pattern_new(3 * MIB, 3);
    int fd = open(arg, O_WRONLY);
    for (size_t at = 0; at < 3 * MIB;) {
        ssize_t done = write(fd, data + at, 3 * MIB - at < 70000 ? 3 * MIB - at : 70000);
        at += done > 0 ? (size_t)done : 0;
    }
    close(fd);
    free(data);
    return NULL;
}

static void test_blob_files__a_pipe__is_read_once(void **state)
{
    struct blob_yard yard;
    pthread_t thread;
    pgk_error err;
    pgk_blob_key key;
    blob_yard_open(&yard, *state);
    const char *path = yard_path(&yard, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed, (void *)path), 0);
    pgk_blob_source source = {.size = sizeof(source), .path = path};
    STORE_WORKS(&err, pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    pthread_join(thread, NULL);
    const char *out = yard_path(&yard, "out");
    STORE_WORKS(&err, pgk_blobs_get_file(yard.blobs, NULL, &key, out, &err));
    assert_true(pattern_is(out, 3 * MIB, 3));
    blob_yard_close(&yard);
}

static void test_blob_files__a_target__is_replaced_only_by_success(void **state)
{
    struct blob_yard yard;
    struct stat stat_of;
    pgk_error err;
    pgk_blob_key key;
    mode_t mask = umask(027);
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, NULL, 5 * MIB, 1, &key);
    const char *out = yard_path(&yard, "out");
    pattern_file(out, 77, 2);
    pgk_blob_key other = key;
    other.random[0] ^= 1;
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get_file(yard.blobs, NULL, &other, out, &err));
    assert_true(pattern_is(out, 77, 2));
    STORE_WORKS(&err, pgk_blobs_get_file(yard.blobs, NULL, &key, out, &err));
    umask(mask);
    assert_true(pattern_is(out, 5 * MIB, 1));
    assert_int_equal(stat(out, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0640);
    assert_int_equal(yard_files(&yard), 1);
    STORE_FAILS(PGK_ERR_IO, &err,
                pgk_blobs_get_file(yard.blobs, NULL, &key, "/nowhere/at/all", &err));
    assert_non_null(strstr(err.message, "No such file"));
    STORE_FAILS(PGK_ERR_IO, &err, pgk_blobs_get_file(yard.blobs, NULL, &key, yard.dir, &err));
    assert_non_null(strstr(err.message, "directory"));
    STORE_FAILS(PGK_ERR_IO, &err, pgk_blobs_get_file(yard.blobs, NULL, &key, "", &err));
    char in_dir[128];
    snprintf(in_dir, sizeof(in_dir), "%s/", yard.dir);
    STORE_FAILS(PGK_ERR_IO, &err, pgk_blobs_get_file(yard.blobs, NULL, &key, in_dir, &err));
    assert_int_equal(yard_files(&yard), 1);
    /* A name without a directory is in the working directory. */
    char before[256];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(yard.dir), 0);
    STORE_WORKS(&err, pgk_blobs_get_file(yard.blobs, NULL, &key, "plain", &err));
    assert_int_equal(chdir(before), 0);
    assert_true(pattern_is(yard_path(&yard, "plain"), 5 * MIB, 1));
    blob_yard_close(&yard);
}

/* A file system of 2 MiB for this process alone; for root, or where anybody may have a namespace. */
static bool mount_small(const char *dir)
{
    char map[32];
    bool root = geteuid() == 0;
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
    if (unshare(root ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return false;
    }
    if (!root) {
        int fd = open("/proc/self/uid_map", O_WRONLY);
        bool mapped = fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map);
        close(fd);
        if (!mapped) {
            return false;
        }
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, "size=2m") == 0;
}

/* In a process of its own: on a file system of 2 MiB, or where that may not be made, with files that may not be larger. */
static int get_to_full_disk(struct fixture *fixture, const char *dir, const pgk_blob_key *key)
{
    pgk_error err;
    pgk_blobs *blobs;
    char out[128];
    bool full = mount_small(dir);
    if (!full) {
        const struct rlimit limit = {.rlim_cur = 2 * MIB, .rlim_max = 2 * MIB};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    snprintf(out, sizeof(out), "%s/out", dir);
    pattern_file(out, 77, 2);
    pgk_ha *ha = handle_open(fixture, "full", NULL);
    if (pgk_ha_blobs(ha, PGK_UNFENCED, &blobs, &err) != PGK_OK ||
        pgk_blobs_get_file(blobs, NULL, key, out, &err) != PGK_ERR_IO ||
        strstr(err.message, full ? "No space left" : "File too large") == NULL) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    struct blob_yard yard;
    snprintf(yard.dir, sizeof(yard.dir), "%s", dir);
    int files = yard_files(&yard);
    bool kept = pattern_is(out, 77, 2);
    printf("%s\n", full ? "on a full file system" : "with a limit for files");
    unlink(out);
    return files == 1 && kept ? 0 : 2;
}

static void test_blob_files__a_full_disk__says_so_and_leaves_the_target(void **state)
{
    struct blob_yard yard;
    pgk_blob_key key;
    int status;
    char dir[64];
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, NULL, 5 * MIB, 1, &key);
    snprintf(dir, sizeof(dir), "%s", yard.dir);
    yard_leave(&yard); /* no threads in the child */
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(get_to_full_disk(yard.fixture, dir, &key));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    yard_enter(&yard);
    blob_yard_close(&yard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blob_files__a_source_that_cannot_be_read__says_why_and_stores_nothing),
        DB_TEST(test_blob_files__a_file_that_changes_meanwhile__is_not_stored),
        DB_TEST(test_blob_files__links__are_followed_by_put_and_replaced_by_get),
        DB_TEST(test_blob_files__a_pipe__is_read_once),
        DB_TEST(test_blob_files__a_target__is_replaced_only_by_success),
        DB_TEST(test_blob_files__a_full_disk__says_so_and_leaves_the_target),
    };
    return cmocka_run_group_tests_name("blob_files", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
