#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the Debian packages that hold the shared libraries which programs are linked with, one a line, so that the image's
# list can never lag behind the build. Fails when a library is not found or belongs to no package.
#
# usage: images/runtime-packages.sh PROGRAM...
set -euo pipefail

# Only what the programs name themselves (NEEDED): the packages bring what their libraries need.
libraries() {
    local program name
    for program in "$@"; do
        while read -r name; do
            ldd "$program" | awk -v name="$name" '$1 == name { print $3; found = 1 }
                END { if (!found) { print "not found: " name > "/dev/stderr"; exit 1 } }'
        done < <(objdump -p "$program" | awk '$1 == "NEEDED" && $2 !~ /^ld-linux/ { print $2 }')
    done | sort -u
}

# Debian 12 has /lib as a link to /usr/lib, and packages that name their files either way.
package_of() {
    local path
    for path in "$1" "/usr${1#/usr}" "${1#/usr}"; do
        dpkg-query -S "$path" 2>/dev/null | cut -d: -f1 | head -n 1 | grep . && return 0
    done
    echo "no package holds $1" >&2
    return 1
}

found=$(libraries "$@")
for library in $found; do
    package_of "$library"
done | sort -u
