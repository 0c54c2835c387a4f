#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Helm: an upgrade and a rollback while pods write, without an error; an uninstall that leaves nothing; an install after it.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

pvc data
writer_start one node-1 data
writer_start two node-2 data
generation() { system get daemonset stowage-node -o 'jsonpath={.status.observedGeneration}'; }
before=$(generation)
driver_install --set logLevel=debug
[ "$(generation)" -gt "$before" ] || fail "the upgrade changed nothing, so it proved nothing"
writer_check one
writer_check two
ok "upgraded: controller and node plugin are replaced, the writers go on"
helm rollback "$RELEASE" --namespace "$SYSTEM" --wait --timeout 5m >/dev/null
writer_check one
writer_check two
ok "rolled back: the writers go on, no line is missing"

gone pod one two
volume=$(volume_of data)
k delete pvc data --timeout 60s >/dev/null
wait_until 60 volume_is_gone "$volume" || fail "the volume stays"
at_end 'driver_install'
helm uninstall "$RELEASE" --namespace "$SYSTEM" --wait --timeout 3m >/dev/null 2>&1
wait_until 60 driver_is_gone || fail "uninstalled, but still there: $(driver_leftovers)"
ok "uninstalled: no object, registration, process or mount is left"
driver_install
pvc again
pod three "" again
bound again
running three
ok "installed again: a claim is bound and mounted"
