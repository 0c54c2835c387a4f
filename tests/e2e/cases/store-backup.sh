#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Backups of the store, over HTTPS: so many are kept, on another class than the data; a second store begins with one, and so does the first.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
# shellcheck source=tests/e2e/lib/store.sh
. "$ROOT/tests/e2e/lib/store.sh"
case_begin

at_end 'system delete pod case-second-store --ignore-not-found --grace-period 5 >/dev/null'
store_begin # undone after that, for the pod uses a claim
certificate store-serving /CN=store serverAuth "DNS:stowage-store.$SYSTEM.svc.cluster.local,IP:127.0.0.1"
system create secret generic case-store-tls --from-file=tls.crt="$PKI/store-serving.crt" --from-file=tls.key="$PKI/store-serving.key" \
    --from-file=ca.crt="$PKI/ca.crt" >/dev/null
install_with() {
    store_install --set "store.persistence.storageClassName=$LOCAL_CLASS,store.backup.persistence.storageClassName=$CLASS,store.backup.keep=2" \
        --set store.tls.existingSecret=case-store-tls "$@"
}
install_with
in_store() { system exec "${2:-stowage-store-0}" -c store -- sh -c "export STOWAGE_TOKEN=$STORE_TOKEN; $1"; }
in_store 'stowage kv create settings && stowage queue create jobs
    for i in 1 2 3; do stowage kv put settings "key-$i" "$i" && stowage queue send jobs "job-$i"; done
    head -c 500000 /dev/urandom | tee /backups/.made | stowage object put models/a && md5sum </backups/.made && rm /backups/.made' >/dev/null
contents='stowage kv ls settings | tr "\n" " "; stowage kv get settings key-2; echo; stowage queue peek jobs --max 10; stowage object get models/a | md5sum'
saved=$(in_store "$contents")
over_https='STOWAGE_URL=https://127.0.0.1:3500 stowage kv get settings key-2'
expect "a value, over HTTPS" "$(in_store "STOWAGE_CA_CERT=/etc/stowage/tls/ca.crt $over_https")" 2
! in_store "$over_https" >/dev/null 2>&1 || fail "a certificate of somebody unknown is taken"
ok "a store with a certificate, data of class $LOCAL_CLASS, backups of class $CLASS"

backup() { # backup NAME: a job of the CronJob, as the chart's notes say
    system create job --from=cronjob/stowage-store-backup "$1" >/dev/null
    system wait job "$1" --for condition=Complete --timeout 60s >/dev/null || fail "backup '$1': $(system logs "job/$1" --tail 3 2>&1; system describe job "$1" | tail -n 3)"
}
backups() { in_store 'ls /backups | grep -v lost+found' | tr '\n' ' '; }
in_store 'stowage store backup by-hand' >/dev/null
backup first
name=$(backups | grep -o 'scheduled-[0-9-]*')
in_store 'stowage kv put settings later 1'
backup second
backup third
expect "backups" "$(backups | sed 's/scheduled-[0-9]*-[0-9]*/S/g')" "by-hand S S "
! grep -q "$name" <<<"$(backups)" || fail "not the oldest was removed: $(backups)"
ok "three Jobs of the CronJob: two copies are kept, the one made by hand too"

system get pod stowage-store-0 -o json | jq '{apiVersion: "v1", kind: "Pod", metadata: {name: "case-second-store"}, spec: (.spec |
    del(.hostname, .subdomain, .nodeName) | .serviceAccountName = "default" | .volumes = [.volumes[] | if .name == "data" then {name, emptyDir: {}} else . end] |
    .initContainers = [.containers[0] | {name: "restore", image, securityContext, resources, volumeMounts: [.volumeMounts[] | select(.name != "tokens" and .name != "tls")],
        command: ["/usr/share/stowage/store-restore", "/backups/by-hand", "/var/lib/stowage/store"]}])}' | system apply -f - >/dev/null
system wait pod case-second-store --for condition=Ready --timeout 60s >/dev/null || fail "the second store: $(system logs case-second-store -c restore --tail 3)"
expect "what the second store holds" "$(in_store "$contents" case-second-store)" "$saved"
ok "a second store, begun with a backup, holds the same keys, messages and objects"

install_with --set store.restore=by-hand
expect "what the store holds" "$(in_store "$contents")" "$saved"
in_store 'stowage kv put settings after 1'
system delete pod stowage-store-0 --timeout 60s >/dev/null
ready statefulset/stowage-store
expect "a value of after the restore" "$(in_store 'stowage kv get settings after')" 1
expect "what was before it" "$(in_store 'ls /var/lib/stowage/store/store.before-by-hand/store/store.db')" /var/lib/stowage/store/store.before-by-hand/store/store.db
ok "helm upgrade --set store.restore: the store is as then, what was before is kept, and it happens once"
