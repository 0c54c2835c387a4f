# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Image archives of single static programs, written by hand: a docker archive is a tar of a layer and two JSON files. They are
# named as the chart names them. Sourced after scripts/lib.sh, build.sh and images.sh.

# archives_build: all of them, into CACHE/images
archives_build() {
    mkdir -p "$CACHE/images"
    image_of_program "$PAUSE_IMAGE" "$CACHE/bin/pause" /pause
    image_of_program "$BUSYBOX_IMAGE" /bin/busybox /bin/busybox
    image_of_sidecar csi-provisioner "$CSI_PROVISIONER_VERSION"
    image_of_sidecar csi-resizer "$CSI_RESIZER_VERSION"
    image_of_sidecar csi-snapshotter "$CSI_SNAPSHOTTER_VERSION"
    image_of_sidecar snapshot-controller "$CSI_SNAPSHOTTER_VERSION"
    image_of_sidecar csi-node-driver-registrar "$CSI_NODE_DRIVER_REGISTRAR_VERSION"
    image_of_sidecar livenessprobe "$CSI_LIVENESSPROBE_VERSION"
}

image_of_sidecar() { image_of_program "$SIDECAR_REPOSITORY/$1:$2" "$CACHE/bin/$1" "/$1"; }

# image_of_program NAME:TAG FILE PATH: a docker archive of one layer: the program at PATH, users, /tmp; busybox with its links
image_of_program() {
    local name=$1 file=$2 path=$3 dir command="\"$3\""
    dir=$(mktemp -d "$CACHE/image.XXXXXX")
    image_root "$dir/layer"
    mkdir -p "$dir/layer${path%/*}"
    install -m 755 "$file" "$dir/layer$path"
    if [ "$path" = /bin/busybox ]; then
        image_links "$dir/layer"
        command='"/bin/sh"'
    fi
    image_of_layer "$name" "$dir" "$command" '"PATH=/bin"' "$CACHE/images/$(tr '/:' '__' <<<"$name").tar"
    rm -rf "$dir"
}

# image_root DIR: users and /tmp
image_root() {
    mkdir -p "$1/etc" "$1/tmp" "$1/root"
    chmod 1777 "$1/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# image_links DIR: all that its /bin/busybox can be called
image_links() {
    local applet
    for applet in $("$1/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
    done
}

# image_of_layer NAME:TAG DIR COMMAND ENVIRONMENT FILE: the docker archive FILE of the tree DIR/layer; the two are lists in JSON
image_of_layer() {
    local name=$1 dir=$2 command=$3 layer config
    mkdir -p "$dir/image"
    tar -C "$dir/layer" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$dir/layer.tar" .
    layer=$(sha256sum <"$dir/layer.tar" | cut -d ' ' -f 1)
    mv "$dir/layer.tar" "$dir/image/$layer.tar"
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":[%s],"Env":[%s]},' \
        "$(dpkg --print-architecture)" "$command" "$4" >"$dir/config"
    printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"1970-01-01T00:00:00Z"}]}' \
        "$layer" >>"$dir/config"
    config=$(sha256sum <"$dir/config" | cut -d ' ' -f 1).json
    mv "$dir/config" "$dir/image/$config"
    printf '[{"Config":"%s","RepoTags":["%s"],"Layers":["%s.tar"]}]' "$config" "$name" "$layer" >"$dir/image/manifest.json"
    tar -C "$dir/image" --sort=name --mtime=@0 -cf "$5" .
}
