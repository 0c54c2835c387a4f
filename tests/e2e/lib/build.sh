# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Builds Kubernetes, etcd, Helm and the CSI sidecars from their Go modules, at the versions of versions.env, into a cache
# outside the repository; once for each set of versions. Sourced after scripts/lib.sh.
#
# CACHE/bin holds the programs, CACHE/images the archives of lib/archives.sh, CACHE/snapshot the CRDs and the manifests of the
# snapshot controller.

PROGRAMS=$ROOT/tests/e2e/programs
BUILD_LIMIT_S=3600
K8S_COMMANDS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

cache_key() {
    {
        set | grep -E '^(KUBERNETES|HELM|CSI_PROVISIONER|CSI_RESIZER|CSI_SNAPSHOTTER|CSI_NODE_DRIVER|CSI_LIVENESS)[A-Z_]*='
        cat "$PROGRAMS"/*.c "$PROGRAMS"/*/*.go "$ROOT/tests/e2e/lib/build.sh" "$ROOT/tests/e2e/lib/archives.sh"
    } | sha256sum | cut -c 1-12
}
# What is pinned may have changed since the cluster came up; it goes on with what it came up with.
cache_of_today() { say "${XDG_CACHE_HOME:-$HOME/.cache}/stowage/k8s-$(cache_key)"; }
CACHE=$(readlink "$STATE/cache" || cache_of_today)

# build_cluster: fills CACHE unless it is full. Another run that builds the same is waited for. The modules stay where go
# keeps them, so that a change of one version does not build everything again.
build_cluster() {
    local lock=8
    mkdir -p "${CACHE%/*}"
    eval "exec $lock>\"$CACHE.lock\""
    flock -w "$BUILD_LIMIT_S" "$lock" || die "another run has been building $CACHE for an hour; end it, or remove $CACHE.lock"
    if [ ! -e "$CACHE/complete" ]; then
        go_ready || die "go is missing; install it (apt-get install golang-go, or see go.dev) and run this again"
        note "building Kubernetes $KUBERNETES_VERSION and the CSI sidecars into $CACHE (once; about 10 minutes on two cores)"
        rm -rf "$CACHE"
        mkdir -p "$CACHE/bin" "$CACHE/src" "$CACHE/snapshot"
        build_step "Kubernetes and etcd" build_kubernetes
        build_step "sidecars and Helm" build_sidecars
        build_step "pause" gcc -O2 -static -s -o "$CACHE/bin/pause" "$PROGRAMS/pause.c"
        build_step "images" archives_build
        touch "$CACHE/complete"
    fi
    eval "exec $lock>&-"
    rm -f "$CACHE.lock"
}

# build_step WHAT COMMAND…: its output goes to a file, of which the end is shown when it fails
build_step() {
    local what=$1 log=$CACHE/build.log started
    shift
    started=$(now_ms)
    # A sub-shell with -e of its own: in a condition bash would ignore a failure in the middle.
    (set -e && "$@") </dev/null >>"$log" 2>&1 &
    wait "$!" || {
        grep -v ': downloading\|: added' "$log" | tail -n 15 >&2
        die "building $what failed (above; all of it: $log)"
    }
    note "built $what in $(seconds_since "$started") s"
}

# go_build OUTPUT LDFLAGS PACKAGE…: static, at low priority
go_build() {
    local output=$1 ldflags=$2
    shift 2
    CGO_ENABLED=0 GOFLAGS='-mod=mod -trimpath -buildvcs=false' GOWORK=off \
        timeout "$BUILD_LIMIT_S" nice -n 10 go build -p 2 -o "$output" -ldflags "-s -w $ldflags" "$@"
}

# In the repository k8s.io/kubernetes its staging modules are replaced by folders; as a module, by their releases: v1.X.Y goes
# with v0.X.Y. Its go.mod and go.sum are taken over, so that all other versions are those it was released with.
build_kubernetes() {
    local dir=$CACHE/src/kubernetes module staging=v0.${KUBERNETES_VERSION#v1.}
    mkdir -p "$dir"
    cd "$dir"
    module=$(cd / && go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    sed -E "s,^module .*,module stowage.test/kubernetes,; s,=> \./staging/src/(k8s\.io/[a-z0-9-]+),=> \1 $staging," \
        "$module/go.mod" >go.mod
    cat "$module/go.sum" >go.sum
    go mod edit -require "k8s.io/kubernetes@$KUBERNETES_VERSION"
    go_build "$CACHE/bin/" "$(kubernetes_version_flags)" "${K8S_COMMANDS[@]/#/k8s.io/kubernetes/cmd/}"
    go_build "$CACHE/bin/etcd" "" go.etcd.io/etcd/server/v3
}

# A kubelet or kubectl that does not know its release refuses to work with others.
kubernetes_version_flags() {
    local package major minor
    IFS=. read -r major minor _ <<<"${KUBERNETES_VERSION#v}"
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- '-X %s.%s ' "$package" "gitVersion=$KUBERNETES_VERSION" "$package" "gitMajor=$major" \
            "$package" "gitMinor=$minor" "$package" gitTreeState=clean
    done
}

# One module for all of them: they share the client libraries, at the highest version that one of them asks for.
build_sidecars() {
    local dir=$CACHE/src/sidecars csi=github.com/kubernetes-csi module
    mkdir -p "$dir"
    cd "$dir"
    cp -r "$PROGRAMS/node-driver-registrar" "$PROGRAMS/livenessprobe" .
    go mod init stowage.test/sidecars
    GOFLAGS=-mod=mod go get -tool \
        "$csi/external-provisioner/v6/cmd/csi-provisioner@$CSI_PROVISIONER_VERSION" \
        "$csi/external-resizer/v2/cmd/csi-resizer@$CSI_RESIZER_VERSION" \
        "$csi/external-snapshotter/v8/cmd/csi-snapshotter@$CSI_SNAPSHOTTER_VERSION" \
        "$csi/external-snapshotter/v8/cmd/snapshot-controller@$CSI_SNAPSHOTTER_VERSION" \
        "helm.sh/helm/v3/cmd/helm@$HELM_VERSION"
    GOFLAGS=-mod=mod go get "k8s.io/kubelet@$(go list -m -f '{{.Version}}' k8s.io/client-go)"
    sidecar csi-provisioner "$CSI_PROVISIONER_VERSION" "$csi/external-provisioner/v6/cmd/csi-provisioner"
    sidecar csi-resizer "$CSI_RESIZER_VERSION" "$csi/external-resizer/v2/cmd/csi-resizer"
    sidecar csi-snapshotter "$CSI_SNAPSHOTTER_VERSION" "$csi/external-snapshotter/v8/cmd/csi-snapshotter"
    sidecar snapshot-controller "$CSI_SNAPSHOTTER_VERSION" "$csi/external-snapshotter/v8/cmd/snapshot-controller"
    sidecar csi-node-driver-registrar "$CSI_NODE_DRIVER_REGISTRAR_VERSION" ./node-driver-registrar
    sidecar livenessprobe "$CSI_LIVENESSPROBE_VERSION" ./livenessprobe
    go_build "$CACHE/bin/helm" "-X helm.sh/helm/v3/internal/version.version=$HELM_VERSION" helm.sh/helm/v3/cmd/helm
    module=$(go list -m -f '{{.Dir}}' "$csi/external-snapshotter/v8")
    cp "$module"/deploy/kubernetes/snapshot-controller/*snapshot-controller.yaml "$CACHE/snapshot/"
    module=$(cd / && go mod download -json "$csi/external-snapshotter/client/v8@$CSI_SNAPSHOTTER_VERSION" |
        sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    mkdir -p "$CACHE/snapshot/crd"
    cp "$module"/config/crd/*.yaml "$CACHE/snapshot/crd/"
    chmod -R u+w "$CACHE/snapshot"
}

sidecar() { go_build "$CACHE/bin/$1" "-X main.version=$2" "$3"; }
