#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The sidecar's webhook on a real API server, with the configuration and the roles of the chart: pods come back with a sidecar or as they were,
# wrong ones are refused with the remedy; certificates and the authority are renewed while pods are made; two replicas share them; without a
# replica pods are admitted unchanged.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=tests/support/kube-kit.sh
. "$ROOT/tests/support/kube-kit.sh"

kube_start
chart_apply -s templates/sidecar-injection.yaml --set store.enabled=true,store.serviceAccountTokens=true,sidecar.injection.enabled=true
operator_config
# The API server asks the service's address, which without nodes nobody has: here the first replica does.
address=$(kubectl -n "$SYSTEM" get service stowage-webhook -o 'jsonpath={.spec.clusterIP}')
machine_net control ip address add "$address/32" dev lo
replica() { # NAME ADDRESS [FLAG…]
    local name=$1 at=$2
    shift 2
    operator_start "$name" --webhook="$at" --inject-image=registry/stowage:1 --inject-store-url=http://stowage-store.stowage:3500 "$@"
}
replica a "$address:443" --http=127.0.0.1:9810

has_account() { kubectl -n "$1" get serviceaccount default >/dev/null 2>&1; }
for ns in team-a strict; do
    kubectl create namespace "$ns" >/dev/null
    wait_until 60 has_account "$ns" || die "namespace $ns has no service account"
done
kubectl label namespace strict pod-security.kubernetes.io/enforce=restricted >/dev/null

# pod [ANNOTATIONS [MORE-OF-SPEC]]: in flow style, as it comes back from the API server
pod() { printf '{apiVersion: v1, kind: Pod, metadata: {generateName: p-, annotations: {%s}}, spec: {containers: [{name: app, image: app}]%s}}' "${1:-}" "${2:-}"; }
YES='stowage.dev/inject: "true"'
made() { # NAMESPACE ANNOTATIONS [MORE]
    pod "$2" "${3:-}" | kubectl -n "$1" create --dry-run=server -o json -f -
}
has_sidecar() { [ "$(made "$1" "${2:-$YES}" 2>/dev/null | jq -r '.spec.initContainers[0].name')" = stowage-sidecar ]; }
wait_until 60 has_sidecar team-a || die "no sidecar comes"

# --- what becomes of pods ----------------------------------------------------------------------------------------------
pod "$YES" | kubectl -n team-a create -f - >/dev/null
kubectl -n team-a get pods -o json | jq '.items[0]' >"$work/pod.json"
look() { jq -cS "$1" "$work/pod.json"; }
expect "the sidecar" "$(look '.spec.initContainers | map([.name, .image, .restartPolicy])')" '[["stowage-sidecar","registry/stowage:1","Always"]]'
expect "its token" "$(look '.spec.volumes[] | select(.name == "stowage-token").projected.sources')" \
    '[{"serviceAccountToken":{"audience":"stowage-store","expirationSeconds":3600,"path":"token"}}]'
expect "the SDK's variables" "$(look '.spec.containers[0].env | map(select(.name | startswith("LEPTON"))) | map({(.name): .value}) | add')" \
    '{"LEPTON_CACHE_DIR":"/run/lepton","LEPTON_WORKSPACE_ID":"team-a","LEPTON_WORKSPACE_TOKEN":"stowage-local","LEPTON_WORKSPACE_URL":"http://127.0.0.1:3500/api/v1"}'
expect "its files" "$(look '.spec.containers[0].volumeMounts | map(select(.name == "stowage-lepton")) | map(.mountPath)')" '["/run/lepton"]'
again=$(jq 'del(.metadata, .status, .spec.nodeName) | .metadata = {generateName: "q-", annotations: {"stowage.dev/inject": "true"}}' "$work/pod.json" |
    kubectl -n team-a create --dry-run=server -o json -f -)
expect "a pod that has a sidecar, given to the API server again" "$(jq -cS .spec <<<"$again")" "$(look .spec)"
ok "a pod gets a sidecar, once"

for annotations in '' 'stowage.dev/inject: "false"' 'stowage.dev/inject-port: "x"'; do
    expect "a pod with {$annotations}" "$(made team-a "$annotations" ', hostNetwork: true' | jq -c '[.spec.initContainers, (.spec.containers[0].env | length)]')" '[null,0]'
done
expect "a pod of kube-system" "$(made kube-system "$YES" | jq -c .spec.initContainers)" null
refused() { # TEXT ANNOTATIONS [MORE]
    local said
    if said=$(made team-a "$2" "${3:-}" 2>&1); then die "accepted: $2 ${3:-}"; fi
    grep -qF -- "$1" <<<"$said" || die "refused without '$1': $said"
}
refused "give true or false" 'stowage.dev/inject: "yes"'
refused "known are: stowage.dev/inject, stowage.dev/inject-port" "$YES, stowage.dev/inject-prot: \"3501\""
refused "1024" "$YES, stowage.dev/inject-port: \"80\""
refused "remove hostNetwork" "$YES" ', hostNetwork: true'
ok "who does not ask is left alone, and who asks for what cannot be is told the remedy"

restricted=', securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}, initContainers: [{name: i, image: i, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]'
made_restricted() { pod "$YES" "$restricted" | sed 's/image: app/image: app, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}/' | kubectl -n strict create --dry-run=server -o json -f -; }
expect "init containers below Pod Security 'restricted'" "$(made_restricted | jq -c '.spec.initContainers | map(.name)')" '["stowage-sidecar","i"]'
if made strict "" >/dev/null 2>&1; then die "the namespace is not restricted, so this shows nothing"; fi
ok "Pod Security 'restricted' takes it"

# --- certificates ------------------------------------------------------------------------------------------------------
replica b 127.0.0.1:9443
serial() { machine_net control openssl s_client -connect "$1" </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null; }
alike() { [ -n "$(serial "$address:443")" ] && [ "$(serial "$address:443")" = "$(serial 127.0.0.1:9443)" ]; }
wait_until 60 alike || die "two replicas serve two certificates"
# From here on, a pod that cannot be given its sidecar is refused.
policy() { kubectl patch mutatingwebhookconfiguration stowage-webhook --type json -p "[{\"op\": \"replace\", \"path\": \"/webhooks/0/failurePolicy\", \"value\": \"$1\"}]" >/dev/null; }
policy Fail
renewed() { # is another one served by both, and has every pod had its sidecar meanwhile?
    has_sidecar team-a || { # told at the end: what is waited for is not heard
        made team-a "$YES" 2>&1 | tail -n 1 >"$work/no-sidecar.log"
        exit 1
    }
    alike && [ "$(serial "$address:443")" != "$before" ]
}
bundle() { kubectl get mutatingwebhookconfiguration stowage-webhook -o 'jsonpath={.webhooks[0].clientConfig.caBundle}' | base64 -d; }
before=$(serial "$address:443") authority=$(bundle)
kubectl -n "$SYSTEM" patch secret stowage-webhook --type merge -p '{"data":{"tls.crt":null}}' >/dev/null
wait_until 120 renewed || die "a certificate that is gone is not made anew"
expect "the authority" "$(bundle)" "$authority"
before=$(serial "$address:443")
kubectl -n "$SYSTEM" patch secret stowage-webhook --type merge -p "{\"data\":{\"ca.key\":\"$(kubectl -n "$SYSTEM" get secret stowage-webhook -o json | jq -r '.data["tls.key"]')\"}}" >/dev/null
wait_until 120 renewed || die "an authority whose key is gone is not made anew"
[ "$(bundle)" != "$authority" ] || die "the API server was not told of the new authority"
kubectl patch mutatingwebhookconfiguration stowage-webhook --type json -p '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]' >/dev/null
told() { [ -n "$(bundle)" ]; }
wait_until 60 told || die "an authority that somebody took away does not come back"
wait_until 60 has_sidecar team-a || die "no sidecar after that"
ok "certificate and authority are renewed, the same for both replicas, and no pod is made without its sidecar meanwhile"

may() { kubectl auth can-i "$@" --as "system:serviceaccount:$SYSTEM:stowage-controller" 2>/dev/null || true; }
expect "its own Secret" "$(may patch secret/stowage-webhook -n "$SYSTEM")" yes
expect "other Secrets" "$(may get secret/other -n "$SYSTEM")$(may list secrets -n "$SYSTEM")$(may get secret/stowage-webhook -n team-a)" nonono
expect "other webhooks" "$(may patch mutatingwebhookconfiguration/other)$(may create mutatingwebhookconfigurations)" nono
machine_net control curl -fsS http://127.0.0.1:9810/metrics >"$work/metrics"
grep -q '^stowage_injections_total{result="injected"} [1-9]' "$work/metrics" || die "injections are not counted: $(grep stowage_injections "$work/metrics")"
grep -q '^stowage_webhook_certificate_end_seconds [1-9]' "$work/metrics" || die "the end of the certificate is not told"
ok "its rights are its own Secret and its own configuration"

# --- without it --------------------------------------------------------------------------------------------------------
policy Ignore
operator_stop a TERM || die "the replica did not end well"
expect "a pod without a webhook" "$(made team-a "$YES" | jq -c '[.spec.initContainers, (.spec.volumes | length)]')" '[null,1]'
replica a "$address:443"
wait_until 60 has_sidecar team-a || die "no sidecar after the replica is back"
operator_stop a TERM
operator_stop b TERM
ok "without a replica pods are admitted as they are, and with one they get their sidecar again"
