#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One claim, a pod on each of two nodes: both read and write the same files, and both go on when one pod is replaced.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
pod one node-1 data
pod two node-2 data
bound data
ok "the claim is bound"
running one two
ok "a pod runs with it on each node"

in_pod one 'echo from one >/data/a && mkdir /data/dir && dd if=/dev/urandom of=/data/dir/big bs=1M count=8 2>/dev/null'
expect "node-2 reads" "$(in_pod two 'cat /data/a')" "from one"
expect "checksum on node-2" "$(in_pod two 'md5sum </data/dir/big')" "$(in_pod one 'md5sum </data/dir/big')"
in_pod two 'echo from two >>/data/a && mv /data/dir /data/moved'
expect "node-1 reads" "$(in_pod one 'cat /data/a; ls /data')" $'from one\nfrom two\na\nmoved'
ok "each sees what the other wrote, renamed and made"

gone pod one
pod one node-1 data
running one
expect "a new pod reads" "$(in_pod one 'cat /data/a')" $'from one\nfrom two'
ok "a new pod finds it all"
