#!/usr/bin/env bash
# Each public header stands alone, in strict C11 and in C++.
. "$(dirname "$0")/lib.sh"
for header in include/pgkeeper/*.h; do
    name=pgkeeper/$(basename "$header")
    line="#include <$name>"
    complain "$name in C11" "$(printf '%s\n%s\nint main(void) { return 0; }\n' "$line" "$line" |
        $CC -x c -std=c11 -pedantic -Wall -Wextra -Wstrict-prototypes -Werror -Iinclude -fsyntax-only - 2>&1 || true)"
    complain "$name in C++" "$(printf '%s\nint main() { return 0; }\n' "$line" |
        $CXX -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only - 2>&1 || true)"
done
finish
