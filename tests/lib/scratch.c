/* tests/lib/scratch.c - see scratch.h. */
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void scratch_file(char *path, const void *bytes, size_t count)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), (ssize_t)count);
    assert_int_equal(close(fd), 0);
}

void scratch_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The next name but "." and ".."; NULL: that was all. */
static const char *next_name(DIR *directory)
{
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            return entry->d_name;
        }
    }
    return NULL;
}

int directory_count(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (next_name(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

void directory_remove(const char *path)
{
    const char *name;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while ((name = next_name(directory)) != NULL) {
        assert_int_equal(unlinkat(dirfd(directory), name, 0), 0);
    }
    closedir(directory);
    assert_int_equal(rmdir(path), 0);
}
