#!/usr/bin/env bash
# Every verb of the command is in pgkeeper(1); every option that its help names is in the page that has the verb: the one
# whose NAME says pgkeeper-VERB, else pgkeeper(1). No page has a name that is no verb.
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
        # The global ones are in pgkeeper(1), whatever verb mentions them.
        [ "$2" = global ] || ! grep -qx -- "$option" <<<"$global" || continue
        grep -qE -- "Fl -${option#--}( |$)" "$1" || { echo "$1: no option $option ($2)"; status=1; }
    done < <(options_of)
}
options_of() { grep -oE '(^|[^-a-z])--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u; }
global=$("$PGK_TEST_COMMAND" --help | options_of)
check_options pgkeeper.1 global < <("$PGK_TEST_COMMAND" --help)
for verb in $verbs; do
    page=pgkeeper.1
    grep -qE "(Cm|Nm) (.* )?$verb( |$)" $page || { echo "$page: no verb $verb"; status=1; }
    own=$(grep -lE "^\.Nm pgkeeper-$verb( ,)?\$" pgkeeper-*.1)
    [ "$(wc -w <<<"$own")" -le 1 ] || { echo "$verb has several pages:" $own; status=1; }
    page=${own:-$page}
    grep -qE "^\.It Cm $verb( |\$)|^\.Nm pgkeeper-$verb\$" "$page" || { echo "$page: nothing about $verb"; status=1; }
    check_options $page "$verb" < <("$PGK_TEST_COMMAND" help "$verb")
done
while read -r name; do
    grep -qx -- "$name" <<<"$verbs" || { echo "a page for pgkeeper-$name, which is no verb"; status=1; }
done < <(sed -nE '/^\.Sh NAME/,/^\.Nd/s/^\.Nm pgkeeper-([a-z]+)( ,)?$/\1/p' pgkeeper-*.1)
[ $options -gt 0 ] || status=1
echo "$(echo "$verbs" | wc -l) verbs, $options options"
exit $status
