#!/usr/bin/env bash
# What reviewers need not look for: functions that are not used here, headers of files, length, marks left behind.
. "$(dirname "$0")/lib.sh"

mapfile -t found < <(tree '*.c' '*.h')
banned='(strcpy|strcat|sprintf|vsprintf|atoi|atol|atof|sscanf|strtok|strtok_r|alloca|gets)'
complain "functions that this project does not use (style)" \
    "$(find_in "(^|[^A-Za-z0-9_>.])${banned}[ ]*[(]" "${found[@]}")"
# A benchmark may pace itself; nothing else waits for anything by sleeping.
mapfile -t found < <(tree '*.c' '*.h' ':!bench/*')
complain "sleeping" "$(find_in '(^|[^A-Za-z0-9_>.])(sleep|usleep|nanosleep|clock_nanosleep)[ ]*[(]' "${found[@]}")"
mapfile -t found < <(tree '*.c' '*.h')

complain "files open with a comment: what it owns, what it must never do, which thread runs it" \
    "$(for file in "${found[@]}"; do [ "$(head -c 2 "$file")" = "/*" ] || echo "$file"; done)"
complain "files over 800 lines: split by concept" \
    "$(for file in "${found[@]}"; do lines=$(wc -l <"$file"); [ "$lines" -le 800 ] || echo "$file: $lines"; done)"
for file in $(tree 'include/*.h' 'src/*.h'); do
    grep -q '^#ifndef PG' "$file" || complain "header without its include guard" "$file"
done

# Spelt in halves, so that this file passes.
marks='(^|[^A-Za-z])(TO''DO|FIX''ME|X''XX|HA''CK|T''BD)([^A-Za-z]|$)|filled be''low'
mapfile -t found < <(tree ':!tests/fuzz/corpus/*') # what a fuzzer found is as it is
complain "marks left behind" "$(grep -nIE "$marks" "${found[@]}" || true)"
complain "blanks at line ends" "$(grep -nIE '[[:blank:]]+$' "${found[@]}" | grep -v '\.md:' | head -20 || true)"
finish
