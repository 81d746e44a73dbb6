#!/usr/bin/env bash
# The functions of the version script, of the headers and of libpgkeeper(3) are the same; so are the statuses of
# status.h and of libpgkeeper(3).
set -eu
cd "$PGK_SOURCE_DIR"
exported=$(sed -n 's/^ *\(pgk_[a-z0-9_]*\);$/\1/p' src/libpgkeeper.map | sort -u)
listed=$(sed -n 's/^\.It Fn \(pgk_[a-z0-9_]*\).*/\1/p' man/libpgkeeper.3 | sort -u)
declared=$(sed -n '/^PGK_API/s/^PGK_API [^(]*[ *]\(pgk_[a-z0-9_]*\)(.*/\1/p' include/pgkeeper/*.h | sort -u)
[ -n "$exported" ]
diff <(echo "$exported") <(echo "$listed") || { echo "src/libpgkeeper.map (<) and man/libpgkeeper.3 (>) differ"; exit 1; }
diff <(echo "$exported") <(echo "$declared") || { echo "src/libpgkeeper.map (<) and the headers (>) differ"; exit 1; }
echo "$(echo "$exported" | wc -l) functions"

statuses=$(sed -n 's/^ *X(\(PGK_[A-Z_]*\),.*/\1/p' include/pgkeeper/status.h | sort)
described=$(sed -n 's/^\.It Dv \(PGK_OK\|PGK_ERR_[A-Z_]*\)$/\1/p' man/libpgkeeper.3 | sort)
[ -n "$statuses" ]
diff <(echo "$statuses") <(echo "$described") || { echo "include/pgkeeper/status.h (<) and man/libpgkeeper.3 (>) differ"; exit 1; }
