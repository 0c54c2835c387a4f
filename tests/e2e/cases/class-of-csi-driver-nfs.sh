#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A StorageClass written for csi-driver-nfs works with nothing but its provisioner changed.
# shellcheck disable=SC2016 # expanded in the pod
set -euo pipefail
# shellcheck source=tests/e2e/lib/case.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/case.sh"
case_begin

server=$(kubectl get storageclass "$CLASS" -o 'jsonpath={.parameters.server}')
share=$(kubectl get storageclass "$CLASS" -o 'jsonpath={.parameters.share}')
made_cluster_wide+=(storageclass/case-nfs)
# As in csi-driver-nfs's own examples.
sed "s/provisioner: nfs.csi.k8s.io/provisioner: $DRIVER/" <<YAML | kubectl apply -f - >/dev/null
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: case-nfs
provisioner: nfs.csi.k8s.io
parameters:
  server: $server
  share: $share
  subDir: \${pvc.metadata.namespace}/\${pvc.metadata.name}/\${pv.metadata.name}
  mountPermissions: "0777"
  onDelete: delete
reclaimPolicy: Delete
volumeBindingMode: Immediate
allowVolumeExpansion: true
mountOptions:
  - nfsvers=4.1
YAML
pvc data 1Gi case-nfs
pod one "" data
bound data
running one
in_pod one 'echo moved >/data/a'
expect "mode of the directory" "$(in_pod one 'stat -c %a /data')" 777
server_sh "test -f \"\$EXPORT_DIR/$NAMESPACE/data/$(volume_of data)/a\"" || fail "subDir is not where the template says"
ok "bound, mounted and laid out as csi-driver-nfs does"
