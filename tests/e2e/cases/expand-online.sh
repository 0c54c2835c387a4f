#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A claim grows while a pod uses it: nothing is restarted, and both the claim and the volume know the new size.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data 1Gi
pod one "" data
bound data
running one
in_pod one 'echo kept >/data/a'
k patch pvc data --type merge -p '{"spec":{"resources":{"requests":{"storage":"5Gi"}}}}' >/dev/null
k wait pvc data --for 'jsonpath={.status.capacity.storage}=5Gi' --timeout 60s >/dev/null
ok "the claim has grown from 1Gi to 5Gi"
expect "capacity of the volume" "$(kubectl get pv "$(volume_of data)" -o 'jsonpath={.spec.capacity.storage}')" 5Gi
expect "the file" "$(in_pod one 'cat /data/a')" kept
expect "restarts" "$(k get pod one -o 'jsonpath={.status.containerStatuses[0].restartCount}')" 0
ok "the pod goes on"
