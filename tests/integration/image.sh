#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The image: built by images/build.sh, its programs find their libraries and answer in a root of their own, it runs as nobody
# in particular, and nothing of this machine's package settings or of the build is in it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

[ "$(id -u)" = 0 ] || skip "building an image with buildah needs root"
work=$(mktemp -d /tmp/stowage-image.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
fail() {
    say "FAILED: $*"
    failed=1
}

tag=localhost/stowage-test:image # always the same, so that the storage does not grow
"$ROOT/images/build.sh" --tool buildah --tag "$tag" --archive "$work/image.tar" >/dev/null
mkdir "$work/archive" "$work/root"
tar -C "$work/archive" -xf "$work/image.tar"
config=$(python3 - "$work/archive" <<'PY'
import json, sys
manifest = json.load(open(f"{sys.argv[1]}/manifest.json"))[0]
config = json.load(open(f"{sys.argv[1]}/{manifest['Config']}"))["config"]
print(config.get("User", ""), *manifest["Layers"])
PY
)
read -r user layers <<<"$config"
# A layer says with a file .wh.NAME that NAME of a lower one is gone.
for layer in $layers; do
    tar -C "$work/root" -xf "$work/archive/$layer"
    while read -r gone; do
        dir=${gone%/*} name=${gone##*/.wh.}
        rm -rf "${dir:?}/${name:?}" "$gone"
    done < <(find "$work/root" -name '.wh.*')
done
say "$(du -sm "$work/root" | cut -f 1) MiB unpacked, of which programs: $(du -sck "$work"/root/usr/bin/stowage* | tail -n 1 | cut -f 1) KiB"

[ "$user" = 65532:65532 ] || fail "the image runs as '$user'"
version=$(sed -n 's/^project(stowage VERSION \([0-9.]*\).*/\1/p' "$ROOT/CMakeLists.txt")
for program in stowage stowage-controller stowage-node stowage-cachefs stowage-sidecar; do
    lost=$(chroot "$work/root" ldd "/usr/bin/$program" 2>&1 | grep -i 'not found' || true)
    [ -z "$lost" ] || fail "$program: $lost"
    chroot --userspec=65532:65532 "$work/root" "/usr/bin/$program" --help >"$work/out" 2>&1 || fail "$program --help: $(tail -n 1 "$work/out")"
    grep -q "$program" "$work/out" || fail "$program --help speaks of something else"
done
for flags in "--engine remote" "--token-review in-cluster"; do # the programs that it becomes
    read -ra flags <<<"$flags"
    [ "$(chroot --userspec=65532:65532 "$work/root" /usr/bin/stowage-sidecar --version "${flags[@]}" 2>&1)" = "stowage-sidecar $version" ] ||
        fail "stowage-sidecar ${flags[*]}: $(chroot "$work/root" /usr/bin/stowage-sidecar --version "${flags[@]}" 2>&1 | tail -n 1)"
done
[ "$(chroot "$work/root" /usr/bin/stowage --version)" = "stowage $version" ] || fail "stowage --version is not $version"
[ -x "$work/root/sbin/modprobe" ] || fail "no modprobe: the kernel's NFS client could not be loaded"
for tool in mkfs.ext4 e2fsck resize2fs mkfs.xfs xfs_growfs; do
    [ -x "$work/root/sbin/$tool" ] || fail "no $tool: local volumes could not be formatted or grown"
done
for script in store-backup store-restore; do
    chroot --userspec=65532:65532 "$work/root" test -x "/usr/share/stowage/$script" ||
        fail "$script cannot be run"
done
[ ! -e "$work/root/src" ] || fail "the sources are in the image"
[ -z "$(ls -A "$work/root/var/lib/apt/lists")" ] || fail "package lists are in the image: $(ls -A "$work/root/var/lib/apt/lists")"
grep -rhE '^ *(deb|URIs)' "$work/root/etc/apt" | grep -v 'deb.debian.org' && fail "a package source of this machine is in the image"
! grep -rhi proxy "$work/root/etc/apt" || fail "a proxy is in the image"
[ ! -s "$work/root/etc/resolv.conf" ] || fail "a name server of this machine is in the image"
[ "$failed" = 0 ] || exit 1
say "the image is whole"
