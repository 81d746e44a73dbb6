/* tests/conformance/modes.c - see modes.h. */
#include "modes.h"

#include <string.h>

const struct declaration declarations[CAPABILITIES] = {
    [ELECTS] = {.what = "elects one of several contenders, who may lose leadership again",
                .lacks[STANDALONE] = "The leader is fixed: every contender is granted as it "
                                     "starts, with the all-zero session id and "
                                     "epoch 0, and is revoked only when it is closed."},
    [PUBLISHES] =
        {.what = "tells followers the address that the leader confirmed",
         .lacks[STANDALONE] =
             "Followers are told the address of the configuration at once, also when nobody leads; "
             "confirming does nothing. Without one, job masters are at UNKNOWN and the others "
             "nowhere."},
    [FENCES] = {.what =
                    "refuses writes under the token of a former tenure, or of another cluster id",
                .lacks[STANDALONE] =
                    "There is one tenure only, and its token, all zero, is good for ever."},
    [GRAPHS] = {.what = "stores job graphs, and tells listeners of them",
                .lacks[STANDALONE] = "A graph is taken and forgotten: nothing is found or listed "
                                     "afterwards, and nothing told."},
    [BLOBS] = {.what = "stores blobs",
               .lacks[STANDALONE] = "A blob is not stored, and putting one says so; none is found, "
                                    "and deleting one is fine."},
    [SHARES] = {.what = "shows what one handle stored to all handles of the cluster id",
                .lacks[STANDALONE] = "Each handle has a memory of its own."},
    [OUTLIVES] =
        {.what = "keeps what is stored after the last handle is closed",
         .lacks[EMBEDDED] =
             "The memory of a cluster id is freed with its last handle, unless the process "
             "asked for it to be kept.",
         .lacks[STANDALONE] = "The memory of a handle is freed with it."},
    [PROCESSES] = {.what = "joins the processes of a cluster id",
                   .lacks[EMBEDDED] = "Each process is a cluster of its own.",
                   .lacks[STANDALONE] = "Each process is a cluster of its own."},
    [CONTROLS] = {.what = "revokes and grants leadership by calls of the library",
                  .lacks[POSTGRES] =
                      "Leadership is controlled in SQL, or by the command that calls it: `kick()`, "
                      "`request_handover()`, `pause_elections()`.",
                  .lacks[STANDALONE] = "The leader is fixed."},
};

const struct mode *const modes[MODES] = {&mode_postgres, &mode_embedded, &mode_standalone};

const struct mode *mode_of_name(const char *name)
{
    for (size_t i = 0; i < MODES; i++) {
        if (strcmp(modes[i]->name, name) == 0) {
            return modes[i];
        }
    }
    return NULL;
}

unsigned mode_capabilities(enum mode_id mode)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < CAPABILITIES; i++) {
        bits |= declarations[i].lacks[mode] == NULL ? 1U << i : 0;
    }
    return bits;
}
