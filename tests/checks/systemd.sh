#!/usr/bin/env bash
# The units of contrib/systemd: systemd's own check where it is installed, with the command that was built; and that they
# run verbs and options that there are.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command=${PGK_TEST_COMMAND:-$PGK_BUILD_DIR/src/cli/pgkeeper}

for unit in contrib/systemd/*.service; do
    name=$(basename "$unit")
    name=${name/@./@example.}
    sed -e "s,/usr/bin/pgkeeper,$command," -e "s/^User=pgkeeper/User=root/" "$unit" >"$work/$name"
    complain "$unit: a line that is no section, setting or comment" \
        "$(grep -nvE '^(\[[A-Za-z]+\]|[A-Z][A-Za-z]+=.*|#.*|)$' "$unit" || true)"
    line=$(sed -n 's,^ExecStart=/usr/bin/pgkeeper ,,p' "$unit")
    [ -n "$line" ] || complain "$unit" "no ExecStart of pgkeeper"
    "$command" help "${line%% *}" >"$work/help" || complain "$unit: verb" "${line%% *}"
    for option in $(grep -oE -- '--[a-z-]+ ' <<<"${line%% -- *} "); do
        grep -qF -- "$option" "$work/help" || complain "$unit: option" "$option"
    done
    for setting in KillMode=mixed NoNewPrivileges=yes ProtectSystem=strict Restart=on-failure; do
        grep -qx "$setting" "$unit" || complain "$unit lacks" "$setting"
    done
    if command -v systemd-analyze >/dev/null; then
        complain "systemd-analyze verify $unit" "$(systemd-analyze verify --man=no "$work/$name" 2>&1 | grep -F "$name" || true)"
    fi
done
finish
