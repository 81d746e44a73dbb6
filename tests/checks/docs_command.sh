#!/usr/bin/env bash
# Every verb of the command, and every option that its help names, is in pgkeeper(1); those of run, in
# pgkeeper-run(1).
set -u
cd "$PGK_SOURCE_DIR/man" || exit 1
status=0
verbs=$("$PGK_TEST_COMMAND" --help | sed -n '/^verbs/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$verbs" ] || { echo "no verbs in pgkeeper --help"; exit 1; }
options=0
check_options() { # check_options PAGE WHAT, the help on standard input
    local option
    while read -r option; do
        options=$((options + 1))
        grep -qE -- "Fl -${option#--}( |$)" "$1" || { echo "$1: no option $option ($2)"; status=1; }
    done < <(grep -oE '(^|[^-a-z])--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u)
}
check_options pgkeeper.1 global < <("$PGK_TEST_COMMAND" --help)
for verb in $verbs; do
    page=pgkeeper.1
    grep -qE "(Cm|Nm) (.* )?$verb( |$)" $page || { echo "$page: no verb $verb"; status=1; }
    [ "$verb" = run ] && page=pgkeeper-run.1
    check_options $page "$verb" < <("$PGK_TEST_COMMAND" help "$verb")
done
[ $options -gt 0 ] || status=1
echo "$(echo "$verbs" | wc -l) verbs, $options options"
exit $status
