#!/usr/bin/env bash
# Dependencies point one way, and some things have one place only (docs: "Layers").
. "$(dirname "$0")/lib.sh"

# files PATHSPEC...: into the array `found`.
files() {
    mapfile -t found < <(tree "$@")
}

files 'src/*.c' 'src/*.h' ':!src/backend/postgres/*' ':!src/pgserver/*' ':!src/cli/*'
complain "libpq-fe.h belongs to src/backend/postgres, src/pgserver and src/cli" \
    "$(find_in 'include.*libpq' "${found[@]}")"
complain "libpq calls outside of the database backend" "$(find_in '[^A-Za-z_]PQ[a-z][A-Za-z]*[(]' "${found[@]}")"

# The command is a program of its own with neither of the two: what it needs it has in one file each.
files 'src/*.c' ':!src/core/thread*.c' ':!src/cli/*'
complain "only core/thread makes threads" "$(find_in '(pthread_create|thrd_create)[ (]' "${found[@]}")"
files 'src/*.c' ':!src/core/clock.c' ':!src/cli/*'
complain "only core/clock reads a clock" "$(find_in '[^a-z_](clock_gettime|gettimeofday|time)[(]' "${found[@]}")"

files 'include/*.h'
complain "public headers include only their own and the standard's" \
    "$(find_in 'include *(<(libpq|uuid|openssl)|"|<pthread)' "${found[@]}")"
files 'src/core/*.[ch]'
complain "core knows nothing above it" "$(find_in 'include *"(services|backend|cli|pgserver)/' "${found[@]}")"
files 'src/services/*.[ch]'
complain "services see a backend through backend/backend.h only" \
    "$(find_in 'include *"(backend/(postgres|embedded|standalone)|cli/|pgserver/|sql/|statements)' "${found[@]}")"
files 'src/backend/*.[ch]'
complain "a backend knows neither services nor command nor private server" \
    "$(find_in 'include *"(services|cli|pgserver)/' "${found[@]}")"
files 'src/pgserver/*.[ch]'
complain "the private server knows core only" "$(find_in 'include *"(services|backend|cli)/' "${found[@]}")"
files 'src/cli/*.[ch]' 'examples/*.[ch]'
complain "the command and the examples are clients of the public library" \
    "$(find_in 'include *"(\.\./)?(services|backend)/' "${found[@]}")"
finish
