#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes manifests/stowage.yaml: what the chart renders with its default values, for those who install without Helm.
#
# usage: scripts/render-manifests.sh [--stdout]
#   --stdout   print it instead
#
# Helm is built with go into ~/.cache/stowage if it is not there; HELM names another one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

to_stdout=0
case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
--stdout) to_stdout=1 ;;
'') ;;
*)
    note "unknown argument '$1'"
    show_help >&2
    exit 2
    ;;
esac

# Labels that speak of Helm would be wrong there. A Helm built by go calls itself by no Kubernetes version, hence --kube-version.
render() {
    printf '# SPDX-License-Identifier: Apache-2.0\n# Made by scripts/render-manifests.sh from charts/stowage; do not edit.\n'
    "$helm" template stowage "$ROOT/charts/stowage" --namespace stowage --kube-version "${KUBERNETES_VERSION#v}" |
        sed -e '/^ *helm.sh\/chart: /d' -e '/^ *app.kubernetes.io\/managed-by: Helm$/d'
}

find_helm || die "helm is needed"
if [ "$to_stdout" = 1 ]; then
    render
else
    new=$(mktemp "$ROOT/manifests/.stowage.XXXXXX")
    trap 'rm -f "$new"' EXIT
    render >"$new"
    chmod 644 "$new"
    mv "$new" "$ROOT/manifests/stowage.yaml"
    say "manifests/stowage.yaml"
fi
