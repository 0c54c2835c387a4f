#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A mistake in a StorageClass: the claim's event names the parameter and the remedy, and nothing is made.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

class_like case-typo shear=/x
class_like case-escape subDir=../../etc
class_like case-unreachable server=127.0.0.1 nfsPort=1
for name in typo escape unreachable; do pvc "$name" 1Gi "case-$name"; done
expect_event typo "unknown parameter 'shear'.*share"
ok "an unknown parameter: $(k get events --field-selector involvedObject.name=typo -o 'jsonpath={.items[-1:].message}' | tail -c 150)"
expect_event escape "subDir.*'?\.\./\.\./etc"
ok "an escaping subDir is named"
expect_event unreachable "127.0.0.1"
ok "an unreachable server is named"
expect "phases" "$(k get pvc -o 'jsonpath={.items[*].status.phase}')" "Pending Pending Pending"
