#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What becomes of the data when a claim goes: Delete removes it, Retain and onDelete: retain keep it, archive renames it.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

class_like case-archive onDelete=archive
class_like case-keep onDelete=retain
class_like case-retain reclaimPolicy=Retain
share=$(server_sh 'echo "$EXPORT_DIR"')
for kind in delete archive keep retain; do
    class=case-$kind
    [ "$kind" != delete ] || class=$CLASS
    pvc "$kind" 1Gi "$class"
    pod "$kind" "" "$kind" 'echo data >/data/a'
done
bound delete archive keep retain
for kind in delete archive keep retain; do
    k wait pod "$kind" --for 'jsonpath={.status.phase}=Succeeded' --timeout 90s >/dev/null
    gone pod "$kind"
done
ok "four claims hold data"
declare -A volume
for kind in delete archive keep retain; do volume[$kind]=$(volume_of "$kind"); done
k delete pvc --all --timeout 60s >/dev/null
for kind in delete archive keep; do
    wait_until 60 volume_is_gone "${volume[$kind]}" || fail "volume of '$kind' is not deleted"
done
expect "phase of the retained volume" "$(kubectl get pv "${volume[retain]}" -o 'jsonpath={.status.phase}')" Released
files=$(server_sh "cd $share && find . -name a -path '*pvc-*' -not -path './.stowage/*'")
grep -q "archived-${volume[archive]}/a" <<<"$files" || fail "archive: not among $files"
grep -q "/${volume[keep]}/a" <<<"$files" || fail "onDelete retain: not among $files"
grep -q "/${volume[retain]}/a" <<<"$files" || fail "reclaimPolicy Retain: not among $files"
! grep -q "${volume[delete]}" <<<"$files" || fail "delete: still there in $files"
ok "Delete removed, archive renamed, retain and Retain kept the data"
server_sh "cd $share && rm -rf ./*${volume[archive]} ./${volume[keep]}"
kubectl patch pv "${volume[retain]}" -p '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}' >/dev/null
wait_until 60 volume_is_gone "${volume[retain]}" || fail "a Released volume whose policy became Delete stays"
ok "a retained volume can be let go later"
