#!/usr/bin/env bash
# docker-compose.yml: bound to this host, healthy only over TCP, and the down files of migrations/ are never run as
# init scripts; each service waits for what it needs. Where a compose command is installed (it needs no engine for
# this), the file is validated too. tests/cli/compose.sh runs what the services run.
. "$(dirname "$0")/lib.sh"
file=docker-compose.yml
words=$(grep -v '^ *#' "$file")

complain "ports beyond this host" "$(grep -E '^ *- "[0-9.:]+:[0-9]+"$' <<<"$words" | grep -v '"127\.0\.0\.1:' || true)"
grep -q 'pg_isready -h 127\.0\.0\.1' <<<"$words" || complain "health check over TCP" missing
complain "init scripts" "$(grep -E 'docker-entrypoint-initdb|migrations' <<<"$words" || true)"
grep -q 'condition: service_healthy' <<<"$words" || complain "migrate waits for a healthy server" missing

# The lines of a service, or of a block that services share.
block() { awk -v name="$1:" '/^[a-z]/ { top = $1 } /^[a-z]/ || (top == "services:" && /^  [a-z]/) { inside = $1 == name } inside' "$file"; }
# waits SERVICE FOR CONDITION
waits() {
    block "$1" | grep -A 1 "^ *$2:\$" | grep -q "condition: $3\$" || complain "$1 does not wait for" "$2: $3"
}
waits migrate postgres service_healthy
waits roles migrate service_completed_successfully
waits x-master roles service_completed_successfully
waits pgkeeper migrate service_completed_successfully
[ "$(grep -c '^    <<: \*master$' "$file")" = 3 ] || complain "three masters" "$(grep -c '^    <<: \*master$' "$file")"
# What the Dockerfile copies from the tree, and no more apt-get line that keeps its lists.
complain "apt-get without its end" "$(awk '/apt-get update/ { open = 1 } open && /rm -rf .*\/var\/lib\/apt\/lists/ { open = 0 } END { if (open) print "lists stay" }' Dockerfile)"

for command in "docker compose" docker-compose; do
    if $command version >/dev/null 2>&1; then
        complain "$command config" "$($command -f "$file" config --quiet 2>&1 || true)"
        break
    fi
done
finish
