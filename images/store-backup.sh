#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Has the running store copied into its folder of backups, and removes the oldest copies that were made by this script. Others stay.
# The chart's CronJob runs it.
#
# usage: store-backup FOLDER KEEP [FLAG OF stowage store backup]…
set -euo pipefail

folder=$1 keep=$2
shift 2
stowage store backup "$@" "scheduled-$(date -u +%Y%m%d-%H%M%S)"

# Names sort as times do. What was begun and never completed has .partial behind it.
mapfile -t made < <(find "$folder" -mindepth 1 -maxdepth 1 -type d -regextype egrep -regex '.*/scheduled-[0-9]{8}-[0-9]{6}' | sort)
for ((i = 0; i < ${#made[@]} - keep; i++)); do
    rm -rf --one-file-system -- "${made[i]}"
    echo "removed ${made[i]}"
done
