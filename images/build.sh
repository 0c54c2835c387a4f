#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Stowage's images with docker, or with buildah where there is neither docker nor a container registry: the base image
# is then made by mmdebstrap from the packages that this machine installs itself.
#
# usage: images/build.sh [--image stowage|nfs-server] [--tool docker|buildah] [--tag NAME:TAG] [--archive FILE]
#   --image    which one: stowage, all of our programs (default), or nfs-server, the optional embedded NFS server
#   --tool     default: docker if it answers, else buildah (installed if missing; as root)
#   --tag      default: ghcr.io/stowage/IMAGE:VERSION, the version being the project's
#   --archive  also write the image to FILE, as `docker load` and `ctr images import` take it
#
# buildah keeps its images in ~/.cache/stowage/buildah, not in the system's storage; remove the folder to start afresh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

BASE=docker.io/library/debian:bookworm-slim
BASE_SUITE=bookworm
NO_LANGUAGES='Acquire::Languages "none";'

usage_error() {
    note "$1"
    show_help >&2
    exit 2
}

image=stowage tool="" tag="" archive=""
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        show_help
        exit 0
        ;;
    --image | --tool | --tag | --archive)
        [ $# -ge 2 ] || usage_error "$1 needs a value"
        case $1 in
        --image) image=$2 ;;
        --tool) tool=$2 ;;
        --tag) tag=$2 ;;
        --archive) archive=$2 ;;
        esac
        shift
        ;;
    *) usage_error "unknown argument '$1'" ;;
    esac
    shift
done
case $image in
stowage) dockerfile=$ROOT/images/Dockerfile context=$ROOT ;;
nfs-server) dockerfile=$ROOT/images/Dockerfile.nfs-server context=$ROOT/images ;;
*) usage_error "unknown image '$image': take stowage or nfs-server" ;;
esac
if [ -z "$tool" ]; then
    tool=buildah
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then tool=docker; fi
fi
case $tool in docker | buildah) ;; *) usage_error "unknown tool '$tool': take docker or buildah" ;; esac
version=$(sed -n 's/^project(stowage VERSION \([0-9.]*\).*/\1/p' "$ROOT/CMakeLists.txt")
tag=${tag:-ghcr.io/stowage/$image:$version}

with_docker() {
    docker build -f "$dockerfile" -t "$tag" "$context"
    [ -z "$archive" ] || docker save -o "$archive" "$tag"
}

# --- buildah ------------------------------------------------------------------------------------------------------------

store=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/buildah
b() { buildah --root "$store/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

# host_sources: Debian's package sources of this machine, for the base's release.
host_sources() {
    # shellcheck disable=SC2016 # the names are apt's
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite="$BASE_SUITE" '$2 ~ "^" suite && $3 == "main" { print "deb " $1, $2, $3 }' | sort -u
}

# This machine's way to its packages (mirror, proxy) is lent to the build as read-only mounts: nothing of it is
# written into an image.
lend_apt() {
    mkdir -p "$work/apt"
    { apt-config dump | grep -E '^Acquire::(http|https|Retries|ForceIPv4)' || true; } >"$work/apt/options"
    { cat "$work/apt/options" && echo "$NO_LANGUAGES"; } >"$work/apt/lent" # over a file that is there: leaves no trace
    lent=(--volume "$work/apt/lent:/etc/apt/apt.conf.d/no-languages:ro") sources=()
    printf 'deb http://deb.debian.org/%s main\n' "debian $BASE_SUITE" "debian $BASE_SUITE-updates" \
        "debian-security $BASE_SUITE-security" >"$work/base.list"
    host_sources >"$work/apt/sources.list"
    # Without any (another release, or apt-get update never ran), the base's own sources stay.
    if [ -s "$work/apt/sources.list" ]; then
        lent+=(--volume "$work/apt/sources.list:/etc/apt/sources.list:ro")
        sources=("$work/apt/sources.list")
    fi
}

# As the official slim image: required packages and apt, without manual pages, documents and translations; usr-is-merged, since
# usrmerge would bring all of perl. What was lent to make it (options, sources) is taken out again.
make_base() {
    local container path slim=()
    for path in 'doc/*' 'man/*' 'groff/*' 'info/*' 'lintian/*' 'linda/*' 'locale/*'; do
        slim+=(--dpkgopt="path-exclude=/usr/share/$path")
    done
    note "making $BASE from packages of $BASE_SUITE"
    # shellcheck disable=SC2016 # $1 is the hook's: the new root
    mmdebstrap --quiet --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged \
        "${slim[@]}" --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --aptopt="$work/apt/options" --aptopt='APT::Install-Recommends "false"' \
        --customize-hook='rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/hostname' \
        --customize-hook=': >"$1"/etc/resolv.conf' \
        --customize-hook="echo '$NO_LANGUAGES' >\"\$1\"/etc/apt/apt.conf.d/no-languages" \
        --customize-hook="upload '$work/base.list' /etc/apt/sources.list" \
        --customize-hook='rm -rf "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/var/log/apt' \
        "$BASE_SUITE" "$work/base.tar" "${sources[@]}" >"$store/base.log" 2>&1 || {
        tail -n 20 "$store/base.log" >&2
        die "the base image could not be made; all of the output is in $store/base.log"
    }
    container=$(b from scratch)
    b add --quiet "$container" "$work/base.tar" / >/dev/null
    b config --cmd bash "$container"
    b commit --quiet --rm "$container" "$BASE" >/dev/null
    rm -f "$work/base.tar"
}

with_buildah() {
    local ignore=() started
    [ "$(id -u)" = 0 ] || die "buildah is used as root here; or use docker"
    install_for images
    mkdir -p "$store/storage"
    work=$(mktemp -d "$store/build.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    trap 'exit 130' INT TERM
    exec 9>"$store/lock"
    flock 9 # one build at a time: the storage is shared
    lend_apt
    b inspect --type image "$BASE" >/dev/null 2>&1 || make_base
    [ ! -e "$dockerfile.dockerignore" ] || ignore=(--ignorefile "$dockerfile.dockerignore")
    note "building $tag"
    started=$(now_ms)
    if ! b build --isolation chroot --pull=never --layers --force-rm "${ignore[@]}" "${lent[@]}" \
        -f "$dockerfile" -t "$tag" "$context" </dev/null >"$store/$image.log" 2>&1; then
        tail -n 30 "$store/$image.log" >&2
        die "the image could not be built; all of the output is in $store/$image.log"
    fi
    note "built in $(seconds_since "$started") s"
    if [ -n "$archive" ]; then
        rm -f "$archive"
        b push --quiet "$tag" "docker-archive:$archive:$tag"
    fi
}

[ -z "$archive" ] || mkdir -p "$(dirname "$archive")"
"with_$tool"
say "$tag${archive:+ $archive}"
