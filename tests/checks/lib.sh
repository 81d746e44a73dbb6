# shellcheck shell=bash
# Sourced by the checks. PGK_SOURCE_DIR and PGK_BUILD_DIR come from ctest; by hand they are guessed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${PGK_SOURCE_DIR:=$here}" "${PGK_BUILD_DIR:=$here/build/dev}" "${PGK_SANITIZE:=}" "${CC:=cc}" "${CXX:=c++}"
export PGK_SOURCE_DIR PGK_BUILD_DIR CC CXX
cd "$PGK_SOURCE_DIR"
failed=0

# complain TEXT LINES: reports the lines, if there are any.
complain() {
    if [ -n "$2" ]; then
        printf '%s:\n%s\n\n' "$1" "$2"
        failed=1
    fi
}

# The files of the tree, also those not yet added to git, without what is ignored. Patterns as for git.
tree() {
    git -c safe.directory="$PGK_SOURCE_DIR" ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
        if [ -f "$file" ]; then printf '%s\n' "$file"; fi
    done
}

# find_in REGEX FILE...: matching lines outside of comments; prints file:line:text.
find_in() {
    local regex=$1
    shift
    [ $# -gt 0 ] || return 0
    awk -v regex="$regex" '
        FNR == 1 { inside = 0 }
        {
            line = $0; code = ""
            while (line != "") {
                if (inside) {
                    at = index(line, "*/")
                    if (!at) break
                    line = substr(line, at + 2); inside = 0
                } else {
                    at = index(line, "/*")
                    if (!at) { code = code line; break }
                    code = code substr(line, 1, at - 1); line = substr(line, at + 2); inside = 1
                }
            }
            if (code ~ regex) print FILENAME ":" FNR ":" $0
        }' "$@"
}

finish() {
    exit "$failed"
}
