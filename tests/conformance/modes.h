/*
 * tests/conformance/modes.h - the modes that the suite runs in, and what each honestly lacks: one table, from which cases are
 * chosen and the table of docs/modes.md is made. A mode also knows how a test does to it from outside what no call of the
 * library does. The test's main thread.
 */
#ifndef PGK_CONFORMANCE_MODES_H
#define PGK_CONFORMANCE_MODES_H

#include <pgkeeper/pgkeeper.h>

enum mode_id { POSTGRES, EMBEDDED, STANDALONE, MODES };

/* What a mode may lack. A case names what it needs; a lack is itself the subject of at least one case. */
enum capability {
    ELECTS,    /* one of several contenders leads, and may lose it */
    PUBLISHES, /* the address that the leader confirms is what followers are told */
    FENCES,    /* the past, and other cluster ids, are told from the present by tokens */
    GRAPHS,    /* the job graph store stores */
    BLOBS,     /* the blob store stores */
    SHARES,    /* handles of one cluster id see the same */
    OUTLIVES,  /* what is stored stays when the last handle is closed */
    PROCESSES, /* several processes are one cluster */
    CONTROLS,  /* leadership is revoked and granted by calls */
    CAPABILITIES
};

struct declaration {
    const char *what; /* of the table in docs/modes.md */
    /* The sentence that says what a mode does instead; NULL: it has it. */
    const char *lacks[MODES];
};
extern const struct declaration declarations[CAPABILITIES];

struct setting {
    const char *key;
    const char *value;
};
#define MODE_SETTINGS 5

struct mode {
    const char *name; /* high-availability.type */
    enum mode_id id;
    int quiet_ms; /* what has not been told by then is not told */
    int lease_ms; /* longer than leadership lasts without a sign of life */
    /* Before the first case and after the last one; NULL: nothing to do. */
    void (*start)(void);
    void (*stop)(void);
    /* What a configuration needs to be of this mode: up to MODE_SETTINGS, the rest NULL. Lives until stop. */
    const struct setting *(*settings)(void);
    /* Ends the tenure of a component's group against the will of its leader, which goes on contending. NULL without
     * ELECTS. */
    void (*depose)(const char *cluster, const char *component);
    /* Returns once the member waits for leadership. NULL: it does so from pgk_election_start on. */
    void (*await_contender)(const char *cluster, const char *member);
};
extern const struct mode mode_postgres;
extern const struct mode mode_embedded;
extern const struct mode mode_standalone;
extern const struct mode *const modes[MODES];

/* NULL: there is none of that name. */
const struct mode *mode_of_name(const char *name);
/* The bits of what a mode has. */
unsigned mode_capabilities(enum mode_id mode);

#endif
