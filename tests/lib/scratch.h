/*
 * tests/lib/scratch.h - files and directories of a test's own, and what is in a directory. Any thread.
 */
#ifndef PGK_TESTS_SCRATCH_H
#define PGK_TESTS_SCRATCH_H

#include <stddef.h>

/* Makes a new file with these bytes; the path ends with XXXXXX, which becomes its name. */
void scratch_file(char *path, const void *bytes, size_t count);
/* Writes a file anew. */
void scratch_write(const char *path, const char *text);

/* How many names there are in a directory, "." and ".." not counted. */
int directory_count(const char *path);
/* Removes a directory and the files in it; there are no directories in it. */
void directory_remove(const char *path);

#endif
