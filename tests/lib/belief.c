/* tests/lib/belief.c - see belief.h. Writers add entries with one atomic count; no locks. */
#include "belief.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct belief_book *belief_book_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return NULL;
    }
    fchmod(fd, 0666);
    void *book = MAP_FAILED;
    if (ftruncate(fd, (off_t)sizeof(struct belief_book)) == 0) {
        book = mmap(NULL, sizeof(struct belief_book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    return book == MAP_FAILED ? NULL : book;
}

void belief_book_close(struct belief_book *book)
{
    if (book != NULL) {
        munmap(book, sizeof(*book));
    }
}

struct belief *belief_begin(struct belief_book *book, const char *name, int64_t epoch,
                            int64_t begin_ns)
{
    uint32_t index = atomic_fetch_add(&book->count, 1);
    if (index >= BELIEF_MAX) {
        return NULL;
    }
    struct belief *belief = &book->beliefs[index];
    snprintf(belief->name, sizeof(belief->name), "%s", name);
    atomic_store(&belief->epoch, epoch);
    atomic_store(&belief->begin_ns, begin_ns);
    return belief;
}

void belief_seen_false(struct belief *belief, int64_t now_ns)
{
    int64_t known_ns = atomic_load(&belief->first_false_ns);
    while ((known_ns == 0 || known_ns > now_ns) &&
           !atomic_compare_exchange_weak(&belief->first_false_ns, &known_ns, now_ns)) {
    }
}

void belief_all_seen_false(struct belief_book *book, const char *name, int64_t epoch,
                           int64_t now_ns)
{
    uint32_t count = book != NULL ? atomic_load(&book->count) : 0;
    for (uint32_t i = 0; i < count && i < BELIEF_MAX; i++) {
        struct belief *belief = &book->beliefs[i];
        if (atomic_load(&belief->epoch) == epoch && strcmp(belief->name, name) == 0) {
            belief_seen_false(belief, now_ns);
        }
    }
}

int64_t belief_end_ns(const struct belief *belief)
{
    int64_t first_false_ns = atomic_load(&belief->first_false_ns);
    int64_t deadline_ns = atomic_load(&belief->deadline_ns);
    return first_false_ns != 0 && first_false_ns < deadline_ns ? first_false_ns : deadline_ns;
}

size_t belief_count_overlaps(const struct belief_book *book)
{
    size_t overlaps = 0;
    uint32_t count = atomic_load(&book->count);
    for (uint32_t i = 0; i < count && i < BELIEF_MAX; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const struct belief *a = &book->beliefs[j];
            const struct belief *b = &book->beliefs[i];
            if (a->epoch == b->epoch || a->begin_ns >= belief_end_ns(b) ||
                b->begin_ns >= belief_end_ns(a)) {
                continue;
            }
            overlaps++;
            fprintf(
                stderr, "overlap: %s epoch %lld believed %lld..%lld, %s epoch %lld %lld..%lld ns\n",
                a->name, (long long)a->epoch, (long long)a->begin_ns, (long long)belief_end_ns(a),
                b->name, (long long)b->epoch, (long long)b->begin_ns, (long long)belief_end_ns(b));
        }
    }
    return overlaps;
}
