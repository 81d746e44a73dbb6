#!/usr/bin/env bash
# docker-compose.yml: bound to this host, healthy only over TCP, and the down files of migrations/ are never run as
# init scripts. Where a compose command is installed (it needs no engine for this), the file is validated too.
. "$(dirname "$0")/lib.sh"
file=docker-compose.yml
words=$(grep -v '^ *#' "$file")

complain "ports beyond this host" "$(grep -E '^ *- "[0-9.:]+:[0-9]+"$' <<<"$words" | grep -v '"127\.0\.0\.1:' || true)"
grep -q 'pg_isready -h 127\.0\.0\.1' <<<"$words" || complain "health check over TCP" missing
complain "init scripts" "$(grep -E 'docker-entrypoint-initdb|migrations' <<<"$words" || true)"
grep -q 'condition: service_healthy' <<<"$words" || complain "migrate waits for a healthy server" missing
for command in "docker compose" docker-compose; do
    if $command version >/dev/null 2>&1; then
        complain "$command config" "$($command -f "$file" config --quiet 2>&1 || true)"
        break
    fi
done
finish
