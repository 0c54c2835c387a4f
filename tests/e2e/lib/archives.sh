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
    local name=$1 file=$2 path=$3 dir layer config command="\"$3\""
    dir=$(mktemp -d "$CACHE/image.XXXXXX")
    mkdir -p "$dir/layer${path%/*}" "$dir/layer/etc" "$dir/layer/tmp" "$dir/layer/root" "$dir/image"
    chmod 1777 "$dir/layer/tmp"
    install -m 755 "$file" "$dir/layer$path"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$dir/layer/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$dir/layer/etc/group"
    if [ "$path" = /bin/busybox ]; then
        local applet
        for applet in $("$file" --list); do
            [ "$applet" = busybox ] || ln -s busybox "$dir/layer/bin/$applet"
        done
        command='"/bin/sh"'
    fi
    tar -C "$dir/layer" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$dir/layer.tar" .
    layer=$(sha256sum <"$dir/layer.tar" | cut -d ' ' -f 1)
    mv "$dir/layer.tar" "$dir/image/$layer.tar"
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":[%s],"Env":["PATH=/bin"]},' \
        "$(dpkg --print-architecture)" "$command" >"$dir/config"
    printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"1970-01-01T00:00:00Z"}]}' \
        "$layer" >>"$dir/config"
    config=$(sha256sum <"$dir/config" | cut -d ' ' -f 1).json
    mv "$dir/config" "$dir/image/$config"
    printf '[{"Config":"%s","RepoTags":["%s"],"Layers":["%s.tar"]}]' "$config" "$name" "$layer" >"$dir/image/manifest.json"
    tar -C "$dir/image" --sort=name --mtime=@0 -cf "$CACHE/images/$(tr '/:' '__' <<<"$name").tar" .
    rm -rf "$dir"
}
