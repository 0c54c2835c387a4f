#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pod that runs as an ordinary user with an fsGroup can write, and its files belong to them.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
pod one "" data "" 'securityContext: {runAsUser: 1234, runAsGroup: 1234, fsGroup: 4321}'
bound data
running one
in_pod one 'echo mine >/data/a'
expect "owner of a new file" "$(in_pod one 'stat -c %u /data/a')" 1234
expect "the group of the process" "$(in_pod one 'id -G')" "1234 4321"
expect "group of the directory" "$(in_pod one 'stat -c %g /data')" 4321
ok "an ordinary user writes through the fsGroup"
