#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes manifests/stowage.yaml: what the chart renders with its default values, for those who install without Helm;
# manifests/store.yaml: the store, as store.enabled adds it; manifests/store-operator.yaml: the controller, as store.enabled changes it, apart
# because deleting the store must not delete the controller; manifests/sidecar-injection.yaml: what sidecar.injection.enabled adds to both, and
# what of them it changes; and manifests/kinds.yaml: the kinds of stowage.dev, apart because deleting them deletes all objects of theirs, with
# the policy that cannot work without them.
#
# usage: scripts/render-manifests.sh [--into DIRECTORY]
#   --into   another directory than manifests/
#
# Helm is built with go into ~/.cache/stowage if it is not there; HELM names another one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

into=$ROOT/manifests
case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
--into) into=${2:?a directory} ;;
'') ;;
*)
    note "unknown argument '$1'"
    show_help >&2
    exit 2
    ;;
esac

# Labels that speak of Helm would be wrong there. A Helm built by go calls itself by no Kubernetes version, hence --kube-version.
render() { # render FILE FILTER ARGUMENT…
    local file=$into/$1 filter=$2 new
    shift 2
    new=$(mktemp "$into/.stowage.XXXXXX")
    if ! {
        printf '# SPDX-License-Identifier: Apache-2.0\n# Made by scripts/render-manifests.sh from charts/stowage; do not edit.\n'
        "$helm" template stowage "$ROOT/charts/stowage" --namespace stowage --kube-version "${KUBERNETES_VERSION#v}" "$@" |
            sed -e '/^ *helm.sh\/chart: /d' -e '/^ *app.kubernetes.io\/managed-by: Helm$/d' | "$filter"
    } >"$new"; then
        rm -f "$new"
        die "the chart does not render (above)"
    fi
    chmod 644 "$new"
    mv "$new" "$file"
    say "${file#"$ROOT/"}"
}

# only WANTED: the documents that define kinds and say who may use them (1), or all others (0)
only() {
    awk -v wanted="$1" '
        function flush() { if (length(text) && (text ~ /\nkind: (CustomResourceDefinition|ValidatingAdmissionPolicy(Binding)?)\n/) == wanted) printf "%s", text; text = "" }
        /^---$/ { flush() }
        { text = text $0 "\n" }
        END { flush() }'
}
without_kinds() { only 0; }
kinds() { only 1 | sed '/^  annotations:$/,/^    helm.sh\/resource-policy: keep$/d'; }

find_helm || die "helm is needed"
render stowage.yaml without_kinds
render kinds.yaml kinds
render store.yaml cat --set store.enabled=true --show-only templates/store.yaml --show-only templates/store-backup.yaml
render store-operator.yaml cat --set store.enabled=true --show-only templates/controller.yaml
render sidecar-injection.yaml cat --set store.enabled=true,store.serviceAccountTokens=true,sidecar.injection.enabled=true \
    --show-only templates/store.yaml --show-only templates/controller.yaml --show-only templates/policies.yaml \
    --show-only templates/sidecar-injection.yaml
