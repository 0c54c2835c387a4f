# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An image with Python and Lepton's own client, unmodified from PyPI, for pods that use the store. Made of this machine's Python and
# the virtual environment that tests/sanity/lepton.sh uses too. Sourced after case.sh.

LEPTON_VERSION=0.26.0 # the same calls as 0.27.3, without ray's 300 MB
LEPTON_IMAGE=stowage-test/lepton:$LEPTON_VERSION
# shellcheck source=tests/e2e/lib/archives.sh
. "$ROOT/tests/e2e/lib/archives.sh"

# lepton_image: it is on every node; skips the case where PyPI cannot be had
lepton_image() {
    local archive=$CACHE/lepton-$LEPTON_VERSION.tar
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
    image_root "$dir/layer"
    mkdir -p "$dir/layer/bin" "$dir/layer/usr/bin" "$dir/layer/opt"
    install -m 755 /bin/busybox "$dir/layer/bin/busybox"
    image_links "$dir/layer"
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
    image_of_layer "$LEPTON_IMAGE" "$dir" '"/usr/bin/python3"' '"PATH=/usr/bin:/bin","PYTHONPATH=/opt/lepton","PYTHONDONTWRITEBYTECODE=1"' "$1.new"
    mv "$1.new" "$1"
    rm -rf "$dir"
}
