# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For cases about the store: the installed driver with it, and without it again at the end. Sourced after case.sh.
#
# shellcheck disable=SC2034 # used by the cases

STORE_IP=10.202.0.51 # of its service
STORE_TOKEN=case-write-token-0001
STORE_OTHER_TOKEN=case-other-token-0002 # of another workspace
STORE_CLAIMS=(stowage-store stowage-store-backups)

# store_install ARGUMENT…: arguments go to helm
store_install() {
    driver_install --set store.enabled=true,store.service.clusterIP=$STORE_IP,store.tokens.existingSecret=case-store-tokens \
        --set store.persistence.size=1Gi,store.backup.persistence.size=1Gi "$@"
}

# store_begin: the Secret of its tokens, and what has to be undone
store_begin() {
    printf '%s default write\n%s other write\n' "$STORE_TOKEN" "$STORE_OTHER_TOKEN" |
        system create secret generic case-store-tokens --from-file=tokens=/dev/stdin >/dev/null
    at_end store_end
}
store_end() {
    driver_install || return 1
    system delete jobs --all --timeout 60s >/dev/null
    system delete pvc "${STORE_CLAIMS[@]}" --ignore-not-found --timeout 60s >/dev/null
    system delete secret case-store-tokens case-store-tls --ignore-not-found >/dev/null
}

# store COMMAND…: the command `stowage`, in the store's pod
store() { system exec stowage-store-0 -c store -- env "STOWAGE_TOKEN=$STORE_TOKEN" stowage "$@"; }
store_volume() { system get pvc stowage-store -o 'jsonpath={.spec.volumeName}'; }
store_uid() { system get pod stowage-store-0 -o 'jsonpath={.metadata.uid}'; }
store_starts() { system get pod stowage-store-0 -o 'jsonpath={.status.containerStatuses[0].restartCount}'; }

# store_load_start NAME: a pod that writes to it all the while (programs/store_load.py)
store_load_start() {
    k create configmap "$1" --from-file="$E2E_PROGRAMS/store_load.py" >/dev/null
    python_pod "$1" "/programs/store_load.py $STORE_IP 3500 $STORE_TOKEN" "$1"
    wait_until 60 store_load_passed "$1" 200 || fail "the load does not begin: $(k logs "$1" --tail 5)"
}
store_load_count() { in_pod "$1" 'cut -d " " -f 1 /tmp/progress' 2>/dev/null || say 0; }
# store_load_wait NAME: seconds that the longest write took, of those since the last call
store_load_wait() { in_pod "$1" 'cut -d " " -f 2 /tmp/progress; touch /tmp/again'; }
store_load_passed() { [ "$(store_load_count "$1")" -gt "$2" ]; }
# store_load_goes_on NAME: 200 more are acknowledged
store_load_goes_on() {
    local have
    have=$(store_load_count "$1")
    wait_until 60 store_load_passed "$1" $((have + 200)) || fail "nothing is acknowledged any more after $have: $(k logs "$1" --tail 5)"
}
# store_load_end NAME: prints what it found; fails if anything is lost
store_load_end() {
    in_pod "$1" 'touch /tmp/stop'
    k wait pod "$1" --for 'jsonpath={.status.phase}=Succeeded' --timeout 60s >/dev/null || fail "$(k logs "$1" --tail 5)"
    k logs "$1" --tail 1
}

E2E_PROGRAMS=$ROOT/tests/e2e/programs
# python_pod NAME ARGUMENTS [CONFIGMAP]: Python with Lepton's client; the ConfigMap at /programs
python_pod() {
    apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  enableServiceLinks: false
  automountServiceAccountToken: false
  volumes: [{name: programs, configMap: {name: "${3:-$1}", optional: true}}]
  containers:
  - name: main
    image: $LEPTON_IMAGE
    imagePullPolicy: Never
    args: $(jq -cn --arg words "$2" '$words | split(" ")')
    volumeMounts: [{name: programs, mountPath: /programs}]
YAML
}
