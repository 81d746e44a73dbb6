/*
 * replay.c - runs a fuzz target without a fuzzer: on each file of its corpus, and on mutations of those that are
 * the same in every run. For compilers without libFuzzer, and so that what was once found is never found again.
 *
 * usage: TARGET CORPUS ROUNDS
 */
#include "fuzz.h"

#include <dirent.h>

#define MAX_FILES 512
#define MAX_BYTES 65536

struct sample {
    uint8_t *bytes;
    size_t size;
};

static struct sample samples[MAX_FILES];
static size_t sample_count;
static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);

static size_t below(size_t limit)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return limit == 0 ? 0 : (size_t)(state >> 33) % limit;
}

static void read_sample(const char *path)
{
    FILE *file = fopen(path, "rb");
    MUST(file != NULL && sample_count < MAX_FILES);
    struct sample *sample = &samples[sample_count++];
    sample->bytes = malloc(MAX_BYTES);
    MUST(sample->bytes != NULL);
    sample->size = fread(sample->bytes, 1, MAX_BYTES, file);
    fclose(file);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* In the order of their names, so that all runs are alike. */
static void read_corpus(const char *directory)
{
    struct dirent **names = NULL;
    int count = scandir(directory, &names, NULL, compare_names);
    MUST(count >= 0);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            read_sample(path);
        }
        free(names[i]);
    }
    free(names);
}

/* Inserts `count` bytes at `at`, if there is room. */
static void insert(uint8_t *bytes, size_t *size, size_t at, const uint8_t *what, size_t count)
{
    if (*size + count <= MAX_BYTES) {
        memmove(bytes + at + count, bytes + at, *size - at);
        memmove(bytes + at, what, count);
        *size += count;
    }
}

static void mutate(uint8_t *bytes, size_t *size)
{
    static const uint8_t odd[] = {0,    '\n', ':', ' ', '"', '\\', '#',
                                  0xFF, 0xC3, '9', '-', '%', '['};
    const struct sample *other = &samples[below(sample_count)];
    size_t at = below(*size + 1);
    size_t from = below(other->size);
    uint8_t byte = below(2) == 0 ? odd[below(sizeof(odd))] : (uint8_t)below(256);
    switch (below(5)) {
    case 0:
        if (at < *size) {
            bytes[at] = byte;
        }
        break;
    case 1:
        insert(bytes, size, at, &byte, 1);
        break;
    case 2: /* a piece of another */
        if (other->size > 0) {
            insert(bytes, size, at, other->bytes + from, below(other->size - from) + 1);
        }
        break;
    case 3: /* a piece less */
        if (at < *size) {
            size_t gone = below(*size - at) + 1;
            memmove(bytes + at, bytes + at + gone, *size - at - gone);
            *size -= gone;
        }
        break;
    default: /* another bit */
        if (at < *size) {
            bytes[at] ^= (uint8_t)(1U << below(8));
        }
        break;
    }
}

int main(int argc, char **argv)
{
    static uint8_t bytes[MAX_BYTES];
    MUST(argc == 3);
    read_corpus(argv[1]);
    MUST(sample_count > 0);
    LLVMFuzzerTestOneInput(bytes, 0);
    for (size_t i = 0; i < sample_count; i++) {
        LLVMFuzzerTestOneInput(samples[i].bytes, samples[i].size);
    }
    long rounds = strtol(argv[2], NULL, 10);
    for (long round = 0; round < rounds; round++) {
        const struct sample *sample = &samples[below(sample_count)];
        size_t size = sample->size;
        memcpy(bytes, sample->bytes, size);
        for (size_t i = below(6) + 1; i > 0; i--) {
            mutate(bytes, &size);
        }
        LLVMFuzzerTestOneInput(bytes, size);
    }
    for (size_t i = 0; i < sample_count; i++) {
        free(samples[i].bytes);
    }
    printf("%zu samples, %ld mutations\n", sample_count, rounds);
    return 0;
}
