# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An image with Python and Lepton's own client, unmodified from PyPI, for pods that use the store. Made of this machine's Python and
# the virtual environment that tests/sanity/lepton.sh uses too. Sourced after case.sh.

LEPTON_VERSION=0.26.0 # the same calls as 0.27.3, without ray's 300 MB
LEPTON_IMAGE=stowage-test/lepton:$LEPTON_VERSION

# lepton_image: it is on every node; skips the case where PyPI cannot be had
lepton_image() {
    local archive=$CACHE/lepton-image-$LEPTON_VERSION.tar
    [ -e "$archive" ] || lepton_archive "$archive"
    if ! machine_run node-1 ctr --namespace k8s.io images list -q | grep -q "$LEPTON_IMAGE" ||
        ! machine_run node-2 ctr --namespace k8s.io images list -q | grep -q "$LEPTON_IMAGE"; then
        images_import "$archive" 2>/dev/null
    fi
}

# lepton_archive FILE
lepton_archive() {
    local lepton dir python library file
    find_lepton "$LEPTON_VERSION" || skip "there is no Lepton client to test with"
    python=$(readlink -f "$lepton/bin/python")
    dir=$(mktemp -d "$CACHE/image.XXXXXX")
    mkdir -p "$dir/layer/bin" "$dir/layer/usr/bin" "$dir/layer/opt" "$dir/layer/etc" "$dir/layer/tmp"
    chmod 1777 "$dir/layer/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$dir/layer/etc/passwd"
    install -m 755 /bin/busybox "$dir/layer/bin/busybox"
    "$dir/layer/bin/busybox" --list | while read -r file; do
        [ "$file" = busybox ] || ln -s busybox "$dir/layer/bin/$file"
    done
    install -m 755 "$python" "$dir/layer/usr/bin/python3"
    # Python looks for its library beside the directory of its program.
    library=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["stdlib"])')
    mkdir -p "$dir/layer/usr/lib/${library##*/}"
    tar -C "$library" --exclude=./site-packages --exclude=./dist-packages --exclude=./test --exclude=__pycache__ --exclude='./config-*' \
        -cf - . | tar -C "$dir/layer/usr/lib/${library##*/}" -xf -
    cp -a "$lepton/lib/${library##*/}/site-packages" "$dir/layer/opt/lepton"
    find "$dir/layer/usr" "$dir/layer/opt" -name '*.so*' -o -name python3 | while read -r file; do
        ldd "$file" 2>/dev/null | sed -nE 's/.*(=> |^\s*)(\/[^ ]+) \(.*/\2/p'
    done | sort -u | while read -r file; do
        case $file in
        "$dir"/*) ;; # came with its package
        *) cp --parents --dereference "$file" "$dir/layer/" ;;
        esac
    done
    chmod -R go+rX "$dir/layer" # Python may be in a home that is closed to others
    lepton_image_of "$dir"
    mv "$dir/image.tar" "$1"
    rm -rf "$dir"
}

# lepton_image_of DIR: DIR/image.tar, a docker archive of the tree DIR/layer. As in archives.sh, which is not used here: what is in
# it makes the key of the cache, and a change would have Kubernetes built again.
lepton_image_of() {
    local layer config
    mkdir "$1/image"
    tar -C "$1/layer" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$1/layer.tar" .
    layer=$(sha256sum <"$1/layer.tar" | cut -d ' ' -f 1)
    mv "$1/layer.tar" "$1/image/$layer.tar"
    jq -cn --arg arch "$(dpkg --print-architecture)" --arg layer "sha256:$layer" '{architecture: $arch, os: "linux",
        config: {Entrypoint: ["/usr/bin/python3"], Env: ["PATH=/usr/bin:/bin", "PYTHONPATH=/opt/lepton", "PYTHONDONTWRITEBYTECODE=1"]},
        rootfs: {type: "layers", diff_ids: [$layer]}, history: [{created: "1970-01-01T00:00:00Z"}]}' >"$1/config"
    config=$(sha256sum <"$1/config" | cut -d ' ' -f 1).json
    mv "$1/config" "$1/image/$config"
    jq -cn --arg config "$config" --arg name "$LEPTON_IMAGE" --arg layer "$layer.tar" '[{Config: $config, RepoTags: [$name], Layers: [$layer]}]' \
        >"$1/image/manifest.json"
    tar -C "$1/image" -cf "$1/image.tar" .
}
