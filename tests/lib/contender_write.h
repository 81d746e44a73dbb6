/*
 * tests/lib/contender_write.h - the application's own fenced writes in a contender: a libpq connection next
 * to the library's, with the token of the latest grant, however old that is by now. Table and
 * fence are those of db_create (fixture.h). Notes come from the notifier thread, the rest from the main one.
 */
#ifndef PGK_TESTS_CONTENDER_WRITE_H
#define PGK_TESTS_CONTENDER_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include <pgkeeper/election.h>

struct contender_writer;

struct contender_writer *contender_writer_new(const char *conninfo, const char *name);
void contender_writer_free(struct contender_writer *writer);

/* Remembers the token of an election that has just been granted. */
void contender_writer_note(struct contender_writer *writer, const pgk_election *election);

/*
 * Obeys a command and writes "<status name> <sqlstate> <message>" into answer; false: none of its commands.
 *   write          BEGIN, fence, insert, COMMIT
 *   write-single   one statement, fence first
 *   write-late     BEGIN, insert; then fence and COMMIT in one message
 *   write-rr       as write, repeatable read
 *   write-open     BEGIN, fence                write-fill  insert     write-end  COMMIT
 *   write-unfenced BEGIN, insert, and waits    write-seal  fence and COMMIT in one message
 */
bool contender_writer_obey(struct contender_writer *writer, const char *command, char *answer,
                           size_t answer_size);

#endif
