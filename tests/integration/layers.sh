#!/usr/bin/env bash
# scripts/check-layers.sh finds every kind of breach in a small tree made for it, and accepts the tree without them.
#
# usage: tests/integration/layers.sh
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{lib/base,lib/rpc,csi,controller,node-plugin/cachefs}
cd "$tree"
touch lib/base/a.h lib/rpc/b.h csi/v.h controller/c.h node-plugin/cachefs/f.h
printf '#include <grpc/grpc.h>\n#include "lib/base/a.h"\n' >lib/rpc/b.c
printf '#include "csi/v.h"\n#include "controller/c.h"\n#include <stdio.h>\n' >controller/c.c
"$ROOT/scripts/check-layers.sh" "$tree" >/dev/null || die "a tree that keeps the law is refused"

# breach FILE INCLUDE WORDS: the law is broken by that one include, and the complaint says how.
breach() {
    local said
    printf '#include %s\n' "$2" >"$1"
    if said=$("$ROOT/scripts/check-layers.sh" "$tree" 2>&1); then
        die "$1 may include $2?"
    fi
    grep -qF -- "$1:1: $3" <<<"$said" || die "'$1:1: $3' is not in: $said"
    rm "$1"
}
breach lib/base/x.c '"lib/rpc/b.h"' "lib/base may not use lib/rpc"
breach csi/x.c '"controller/c.h"' "csi may not use controller"
breach node-plugin/x.c '"node-plugin/cachefs/f.h"' "node-plugin may not use node-plugin/cachefs"
breach node-plugin/x.c '"controller/c.h"' "node-plugin may not use controller"
breach controller/x.c '"c.h"' '"c.h" is not written from the root'
breach controller/x.c '<csi.pb-c.h>' "controller may not use the messages"
printf '#include <grpc/grpc.h>\n' >controller/x.c
! "$ROOT/scripts/check-layers.sh" "$tree" >/dev/null 2>&1 || die "a library in two folders is accepted"
say "passed: breaches of the layer law are found"
