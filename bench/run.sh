#!/usr/bin/env bash
# Runs the benchmarks on private servers and prints their tables; what they mean is in README.md.
#   bench/run.sh [quick] [crash|resign|exclusive|listeners|put|recover|memory|flat|views|blobs|huge]...     (./dev bench builds first)
set -euo pipefail
build=${PGK_BUILD_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/release}

many=100 some=100 few=100 puts=1000 calls=200 rounds=15 files=10
if [ "${1:-}" = quick ]; then
    many=20 some=10 few=5 puts=300 calls=50 rounds=5 files=3
    shift
fi
[ $# -gt 0 ] || set -- crash resign exclusive listeners put recover memory flat views blobs


# A server of its own for each part: nothing of one is left to the next. fsync stays on.
on_server() {
    local settings=(--set max_connections=600)
    while [ "${1:-}" = --set ]; do
        settings+=("$1" "$2")
        shift 2
    done
    "$build/src/cli/pgkeeper" server --tcp --migrate "${settings[@]}" -- "$@" 2> >(grep -v '^pgkeeper server: ' >&2)
}

printf '%s\n' "$(date -u '+%F %H:%M UTC'), $(uname -sr), $(nproc) processors$(
    sed -n 's/^model name[[:space:]]*: /, /p' /proc/cpuinfo | head -n 1)"
printf 'load before: %s\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
for part; do
    case $part in
        crash | resign) on_server "$build/bench/bench_handover" "$part" "$many" ;;
        exclusive) on_server "$build/bench/bench_handover" "$part" "$few" ;;
        listeners)
            for listeners in 1 32 256; do
                # shellcheck disable=SC2016 # for the inner shell: followers go by the unix socket
                on_server bash -c 'PGHOST=$(psql -XAtc "SHOW unix_socket_directories") exec "$@"' bash \
                    "$build/bench/bench_listeners" "$listeners" "$some"
            done
            ;;
        put) on_server "$build/bench/bench_stores" put "$puts" ;;
        recover)
            # By either way: to send a byte by TCP costs the floor and the library alike, by the socket next to nothing.
            # shellcheck disable=SC2016 # for the inner shell
            on_server bash -c '"$@" && PGHOST=$(psql -XAtc "SHOW unix_socket_directories") exec "$@"' bash \
                "$build/bench/bench_stores" recover "$rounds"
            ;;
        memory) on_server "$build/bench/bench_stores" memory ;;
        flat) on_server "$build/bench/bench_stores" flat "$calls" ;;
        views)
            # shellcheck disable=SC2016 # for the inner shell: by the unix socket
            on_server bash -c 'PGHOST=$(psql -XAtc "SHOW unix_socket_directories") exec "$@"' bash "$(dirname "$0")/views.sh" "$rounds"
            ;;
        blobs | huge)
            # Checkpoints come between the samples, not at any time in one.
            # shellcheck disable=SC2016 # for the inner shell: by the unix socket
            on_server --set shared_buffers=128MB --set max_wal_size=16GB bash -c \
                'PGHOST=$(psql -XAtc "SHOW unix_socket_directories") exec "$@"' bash \
                "$build/bench/bench_stores" "$part" "$files"
            ;;
        *)
            echo "bench: there is no part \"$part\"" >&2
            exit 2
            ;;
    esac
done
printf '\nload after: %s\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
