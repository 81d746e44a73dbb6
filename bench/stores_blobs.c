/*
 * bench/stores_blobs.c - putting a file as a blob and getting it back, in turn with the plain loop of
 * libpq's large object calls, and with a copy of the file that is flushed to disk.
 *
 * The plain loop does less: no digest, no look at the length, no row, no fence, and what it gets is
 * not flushed to disk. Between the samples, outside of what is measured, both remove what they stored
 * and the server writes its dirty pages.
 */
#include "stores.h"

#include <fcntl.h>
#include <libpq/libpq-fs.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)MB)

struct files {
    char dir[256];
    char source[300];
    char target[300];
};

struct sizes {
    int64_t bytes;
    int rounds;
};

/* What one size gave. */
struct figures {
    struct stats raw_put, put, copy, raw_get, get, least_get;
    int64_t peak_put, peak_get; /* bytes of memory above that of the idle process */
};

static int64_t status_bytes(const char *key)
{
    char line[256];
    int64_t kb = -1;
    FILE *file = fopen("/proc/self/status", "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kb = strtoll(line + strlen(key), NULL, 10);
        }
    }
    if (file == NULL || fclose(file) != 0 || kb < 0) {
        bench_fail("/proc/self/status has no %s", key);
    }
    return kb * KB;
}

/* Resident memory now; from now on VmHWM is the peak from here. */
static int64_t peak_begin(void)
{
    FILE *file;

    malloc_trim(0);
    file = fopen("/proc/self/clear_refs", "we");
    if (file == NULL || fputs("5", file) < 0 || fclose(file) != 0) {
        bench_fail("/proc/self/clear_refs cannot be written");
    }
    return status_bytes("VmRSS:");
}

static int open_or_fail(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0) {
        bench_fail("%s cannot be opened", path);
    }
    return fd;
}

static void write_or_fail(int fd, const void *bytes, size_t count)
{
    if (write(fd, bytes, count) != (ssize_t)count) {
        bench_fail("the disk is full, or something like it");
    }
}

static void make_source(const struct files *files, int64_t bytes)
{
    const int fd = open_or_fail(files->source, O_WRONLY | O_CREAT | O_TRUNC);
    char *piece = malloc(PIECE);

    memcpy(piece, random_bytes(PIECE), PIECE);
    for (int64_t at = 0; at < bytes; at += (int64_t)PIECE) {
        memcpy(piece, &at, sizeof at); /* no piece twice */
        write_or_fail(fd, piece, bytes - at < (int64_t)PIECE ? (size_t)(bytes - at) : PIECE);
    }
    free(piece);
    fsync(fd);
    close(fd);
}

/* As cp, and then fsync. */
static int64_t copy(const struct files *files)
{
    char *piece = malloc(PIECE);
    const int64_t began_ns = bench_now_ns();
    const int from = open_or_fail(files->source, O_RDONLY);
    const int to = open_or_fail(files->target, O_WRONLY | O_CREAT | O_TRUNC);
    int64_t took_ns;
    ssize_t got;

    while ((got = read(from, piece, PIECE)) > 0) {
        write_or_fail(to, piece, (size_t)got);
    }
    fsync(to);
    took_ns = bench_now_ns() - began_ns;
    close(from);
    close(to);
    unlink(files->target);
    free(piece);
    return took_ns;
}

/* What was fetched is the source; then it is removed. */
static void check_target(const struct files *files)
{
    char *a = malloc(PIECE);
    char *b = malloc(PIECE);
    const int from = open_or_fail(files->source, O_RDONLY);
    const int to = open_or_fail(files->target, O_RDONLY);
    ssize_t got, other;

    do {
        got = read(from, a, PIECE);
        other = read(to, b, PIECE);
        if (got != other || memcmp(a, b, (size_t)got) != 0) {
            bench_fail("what was fetched is not what was stored");
        }
    } while (got > 0);
    close(from);
    close(to);
    unlink(files->target);
    free(a);
    free(b);
}

static int64_t raw_put_file(PGconn *conn, const struct files *files, Oid *ret_loid)
{
    char *piece = malloc(PIECE);
    const int64_t began_ns = bench_now_ns();
    const int from = open_or_fail(files->source, O_RDONLY);
    int64_t took_ns;
    ssize_t got;
    int fd;

    bench_sql(conn, "BEGIN");
    *ret_loid = lo_create(conn, 0);
    fd = lo_open(conn, *ret_loid, INV_WRITE);
    while ((got = read(from, piece, PIECE)) > 0) {
        if (lo_write(conn, fd, piece, (size_t)got) != got) {
            bench_fail("lo_write: %s", PQerrorMessage(conn));
        }
    }
    lo_close(conn, fd);
    bench_sql(conn, "COMMIT");
    took_ns = bench_now_ns() - began_ns;
    close(from);
    free(piece);
    return took_ns;
}

static int64_t raw_get_file(PGconn *conn, const struct files *files, Oid loid)
{
    char *piece = malloc(PIECE);
    const int64_t began_ns = bench_now_ns();
    const int to = open_or_fail(files->target, O_WRONLY | O_CREAT | O_TRUNC);
    int64_t took_ns;
    int fd, got;

    bench_sql(conn, "BEGIN");
    fd = lo_open(conn, loid, INV_READ);
    while ((got = lo_read(conn, fd, piece, PIECE)) > 0) {
        write_or_fail(to, piece, (size_t)got);
    }
    lo_close(conn, fd);
    bench_sql(conn, "COMMIT");
    took_ns = bench_now_ns() - began_ns;
    close(to);
    free(piece);
    check_target(files);
    return took_ns;
}

/* What a get of a small file cannot do without: the bytes of the object, as rows of one statement that was planned
 * before, into a file that is flushed. No row is looked up, nothing is compared, nothing renamed. */
static int64_t least_get(PGconn *conn, const struct files *files, Oid loid)
{
    static const char sql[] =
        "SELECT lo_get($1::oid, o, 131072) FROM generate_series(0, 1048575, 131072) o";
    char id[16];
    const char *values[] = {id};
    int64_t began_ns;
    int64_t took_ns;
    PGresult *row;
    int to;

    snprintf(id, sizeof id, "%u", loid);
    PQclear(PQprepare(conn, "", sql, 1, NULL));
    began_ns = bench_now_ns();
    to = open_or_fail(files->target, O_WRONLY | O_CREAT | O_TRUNC);
    PQsendQueryPrepared(conn, "", 1, values, NULL, NULL, 1);
    PQsetSingleRowMode(conn);
    while ((row = PQgetResult(conn)) != NULL) {
        if (PQntuples(row) == 1) {
            write_or_fail(to, PQgetvalue(row, 0, 0), (size_t)PQgetlength(row, 0, 0));
        }
        PQclear(row);
    }
    fsync(to);
    took_ns = bench_now_ns() - began_ns;
    close(to);
    check_target(files);
    return took_ns;
}

static int64_t put_file(pgk_blobs *blobs, const struct files *files, pgk_blob_key *ret_key)
{
    const pgk_blob_source source = {.size = sizeof source, .path = files->source};
    const int64_t began_ns = bench_now_ns();
    pgk_error err;

    check(pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, ret_key, &err), &err, "put");
    return bench_now_ns() - began_ns;
}

static int64_t get_file(pgk_blobs *blobs, const struct files *files, const pgk_blob_key *key)
{
    const int64_t began_ns = bench_now_ns();
    int64_t took_ns;
    pgk_error err;

    check(pgk_blobs_get_file(blobs, NULL, key, files->target, &err), &err, "get");
    took_ns = bench_now_ns() - began_ns;
    check_target(files);
    return took_ns;
}

/* Files and pages that are still to be written would be written during the next sample. */
static void settle(PGconn *conn)
{
    bench_sql(conn, "VACUUM pg_largeobject");
    bench_sql(conn, "CHECKPOINT");
    sync();
}

static void one_round(PGconn *raw, PGconn *keeper, pgk_blobs *blobs, const struct files *files,
                      bool first, bool small, struct figures *f)
{
    pgk_blob_key key;
    pgk_error err;
    char sql[64];
    Oid loid;

    stats_add(&f->raw_put, raw_put_file(raw, files, &loid));
    settle(keeper);
    int64_t idle = peak_begin();
    stats_add(&f->put, put_file(blobs, files, &key));
    int64_t peak = status_bytes("VmHWM:") - idle;
    f->peak_put = peak > f->peak_put ? peak : f->peak_put;
    settle(keeper);
    stats_add(&f->copy, copy(files));
    /* Both read twice, the second time counts: the first has the pages' hint bits to set. */
    for (int i = first ? 0 : 1; i < 2; i++) {
        f->raw_get.count -= i > 0 && first ? 1 : 0;
        f->get.count -= i > 0 && first ? 1 : 0;
        f->least_get.count -= i > 0 && first && small ? 1 : 0;
        stats_add(&f->raw_get, raw_get_file(raw, files, loid));
        if (small) {
            stats_add(&f->least_get, least_get(raw, files, loid));
        }
        idle = peak_begin();
        stats_add(&f->get, get_file(blobs, files, &key));
        peak = status_bytes("VmHWM:") - idle;
        f->peak_get = peak > f->peak_get ? peak : f->peak_get;
    }
    check(pgk_blobs_delete(blobs, NULL, &key, &err), &err, "delete");
    snprintf(sql, sizeof sql, "SELECT lo_unlink(%u)", loid);
    bench_sql(keeper, sql);
    settle(keeper);
}

static double rate(struct stats *stats, int64_t bytes)
{
    const double ms = stats_percentile_ms(stats, 50);

    return ms > 0 ? (double)bytes / MB / ms * 1000 : 0;
}

static void print_row(const char *act, struct stats *raw, struct stats *ours, struct stats *limit,
                      int64_t peak, int64_t bytes)
{
    printf("%-16s %10.2f %10.2f %10.0f %10.0f %8.2f %12.0f %8.1f\n", act,
           stats_percentile_ms(raw, 50), stats_percentile_ms(ours, 50), rate(raw, bytes),
           rate(ours, bytes), stats_percentile_ms(raw, 50) / stats_percentile_ms(ours, 50),
           rate(limit, bytes), (double)peak / MB);
}

static void measure_size(PGconn *keeper, pgk_blobs *blobs, const struct files *files, int64_t bytes,
                         int rounds)
{
    static struct figures f;
    PGconn *raw = bench_connect("");
    char act[32];

    memset(&f, 0, sizeof f);
    make_source(files, bytes);
    for (int i = 0; i < rounds; i++) {
        one_round(raw, keeper, blobs, files, i == 0 && rounds > 1, bytes <= MB, &f);
    }
    snprintf(act, sizeof act, "put %lld MiB", (long long)(bytes / MB));
    print_row(act, &f.raw_put, &f.put, &f.copy, f.peak_put, bytes);
    snprintf(act, sizeof act, "get %lld MiB", (long long)(bytes / MB));
    print_row(act, &f.raw_get, &f.get, &f.copy, f.peak_get, bytes);
    if (bytes <= MB) {
        print_row("the least of it", &f.raw_get, &f.least_get, &f.copy, 0, bytes);
    }
    fflush(stdout);
    PQfinish(raw);
}

void measure_blobs(int samples, bool huge)
{
    const char *tmp = getenv("TMPDIR");
    struct leader leader;
    struct files files;
    pgk_blobs *blobs;
    pgk_error err;
    PGconn *conn = bench_connect("");

    snprintf(files.dir, sizeof files.dir, "%s/bench_blobs.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(files.dir) == NULL) {
        bench_fail("%s cannot be made", files.dir);
    }
    snprintf(files.source, sizeof files.source, "%s/source", files.dir);
    snprintf(files.target, sizeof files.target, "%s/target", files.dir);
    leader_open(&leader, 8);
    check(pgk_ha_blobs(leader.ha, &leader.token, &blobs, &err), &err, "blob store");
    printf("\nblobs, medians of %d, %d and %d rounds; MiB/s\n", huge ? 1 : samples * 4,
           huge ? 1 : samples, huge ? 1 : (samples + 2) / 3);
    printf("%-16s %10s %10s %10s %10s %8s %12s %8s\n", "", "raw ms", "ms", "raw", "pgkeeper",
           "x raw", "copy+fsync", "MiB mem");
    if (huge) {
        measure_size(conn, blobs, &files, (int64_t)5 * KB * MB, 1);
    } else {
        measure_size(conn, blobs, &files, MB, samples * 4);
        measure_size(conn, blobs, &files, (int64_t)100 * MB, samples);
        measure_size(conn, blobs, &files, (int64_t)KB * MB, (samples + 2) / 3);
    }
    pgk_blobs_free(blobs);
    leader_close(&leader);
    PQfinish(conn);
    unlink(files.source);
    rmdir(files.dir);
}
