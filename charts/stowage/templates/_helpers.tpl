{{/* Names. The release "stowage" gives stowage-controller; the release "x" gives x-stowage-controller. */}}
{{- define "stowage.name" -}}
{{- if contains "stowage" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-stowage{{ end -}}
{{- end }}

{{- define "stowage.driver" -}}csi.stowage.dev{{- end }}
{{- define "stowage.localDriver" -}}local.csi.stowage.dev{{- end }}

{{/* Labels of an object; call with (list . "component"). */}}
{{- define "stowage.labels" -}}
{{- $ := index . 0 -}}
{{ include "stowage.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ $.Chart.Name }}-{{ $.Chart.Version }}
{{- with $.Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "stowage.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: stowage
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "stowage.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "stowage.nfsServer.host" -}}
{{- if .Values.nfsServer.clusterIP }}{{ .Values.nfsServer.clusterIP }}
{{- else }}{{ include "stowage.name" . }}-nfs.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}
{{- end }}

{{/* The StorageClasses of csi.stowage.dev: those of the lists, and the embedded server's. As a JSON object {"list": […]}. */}}
{{- define "stowage.classes" -}}
{{- $classes := .Values.storageClasses -}}
{{- $own := dict "server" (include "stowage.nfsServer.host" .) "share" "/export" "nfsPort" "2049" "mountPort" "20048" -}}
{{- if .Values.nodeGroups.enabled -}}
{{- range .Values.nodeGroups.storageClasses -}}
{{- $p := .parameters | default dict -}}
{{- if and $.Values.nfsServer.enabled (not $p.server) (ne ($p.origin | default "nfs") "mount") }}{{ $p = merge (dict) $p $own }}{{ end -}}
{{- $classes = append $classes (merge (dict "parameters" (merge (dict "nodeGroup" .nodeGroup) $p)) .) -}}
{{- end -}}
{{- end -}}
{{- if .Values.nfsServer.enabled -}}
{{- $c := .Values.nfsServer.storageClass -}}
{{- $classes = append $classes (dict "name" $c.name "default" $c.default "reclaimPolicy" $c.reclaimPolicy "mountOptions" $c.mountOptions "parameters" (merge (dict) $c.parameters $own)) -}}
{{- end -}}
{{- dict "list" $classes | toJson -}}
{{- end }}

{{/* The share of a class as the controller's --share takes it; nothing when the class names none. */}}
{{- define "stowage.location" -}}
{{- $p := dict -}}
{{- range $key, $value := .parameters }}{{ $_ := set $p (lower $key) (include "stowage.text" $value) }}{{ end -}}
{{- if and $p.server $p.share -}}
{{- $host := $p.server -}}
{{- if and (contains ":" $host) (not (hasPrefix "[" $host)) }}{{ $host = printf "[%s]" $host }}{{ end -}}
{{- $host -}}
{{- $mountPort := and $p.mountport (ne $p.mountport "0") -}}
{{- if and $p.nfsport (ne $p.nfsport "0") }}:{{ $p.nfsport }}{{ else if $mountPort }}:2049{{ end -}}
{{- if $mountPort }}:{{ $p.mountport }}{{ end -}}
{{- if and $p.nfsversion (ne $p.nfsversion "0") }}+{{ $p.nfsversion }}{{ end -}}
{{- $path := trimSuffix "/" $p.share }}{{ $path | default "/" -}}
{{- end -}}
{{- end }}

{{/* A number as it was written: large ones are floating point to Helm. */}}
{{- define "stowage.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* What no schema can say. */}}
{{- define "stowage.check" -}}
{{- $names := dict -}}
{{- range concat (include "stowage.classes" . | fromJson).list .Values.localVolumes.storageClasses }}
{{- if hasKey $names .name }}{{ fail (printf "two StorageClasses are called '%s': give each its own name" .name) }}{{ end -}}
{{- $_ := set $names .name true -}}
{{- end -}}
{{- $node := int .Values.node.httpPort }}{{ $mounts := int .Values.mounts.httpPort -}}
{{- if and .Values.mounts.enabled $node (eq $node $mounts) }}{{ fail (printf "node.httpPort and mounts.httpPort are both %d, in one network: change one" $node) }}{{ end -}}
{{- if .Values.controller.hostNetwork }}
{{- $first := int .Values.controller.httpPort }}
{{- range $port := list $node $mounts }}
{{- $resizer := or (and $.Values.localVolumes.enabled (eq $port (add $first 6 | int))) (and $.Values.sidecar.injection.enabled (eq $port (add $first 7 | int))) }}
{{- if and $port (or $resizer (eq $port $first) (and (gt $port (add1 $first | int)) (le $port (add $first 4 | int)))) }}{{ fail (printf "port %d of the nodes is one of the controller's (%d, %d to %d, %d and %d), in one network: change controller.httpPort" $port $first (add $first 2) (add $first 4) (add $first 6) (add $first 7)) }}{{ end -}}
{{- end }}
{{- end }}
{{- if .Values.localVolumes.enabled }}{{ include "stowage.checkLocal" . }}{{ end -}}
{{- if .Values.nodeGroups.enabled }}{{ include "stowage.checkGroups" . }}{{ end -}}
{{- if .Values.store.enabled }}{{ include "stowage.store.check" . }}{{ end -}}
{{- if .Values.sidecar.injection.enabled }}{{ include "stowage.checkInjection" . }}{{ end -}}
{{- if and (not .Values.mounts.enabled) (eq .Values.node.mountMode "fuse") }}{{ fail "node.mountMode: fuse needs mounts.enabled: true, or the mounts would end with every restart of the node plugin" }}{{ end -}}
{{- end }}

{{- define "stowage.checkInjection" -}}
{{- $i := .Values.sidecar.injection -}}
{{- if and (not $i.storeUrl) (not .Values.store.enabled) }}{{ fail "sidecar.injection.enabled: sidecars need a store, so set store.enabled: true, or sidecar.injection.storeUrl" }}{{ end -}}
{{- if and (not $i.storeUrl) (not .Values.store.serviceAccountTokens) }}{{ fail "sidecar.injection.enabled: sidecars send the tokens of their pods, so set store.serviceAccountTokens: true" }}{{ end -}}
{{- end }}

{{- define "stowage.checkGroups" -}}
{{- $cache := .Values.nodeGroups.cache -}}
{{- if not .Values.mounts.enabled }}{{ fail "nodeGroups.enabled needs mounts.enabled: true, which serves the cached volumes" }}{{ end -}}
{{- if not (hasPrefix (printf "%s/" $cache.parent) $cache.dir) }}{{ fail (printf "nodeGroups.cache.dir %s is not below nodeGroups.cache.parent %s: change one" $cache.dir $cache.parent) }}{{ end -}}
{{- if or (hasPrefix (printf "%s/" $cache.parent) (printf "%s/" .Values.kubeletDir)) (hasPrefix (printf "%s/" .Values.kubeletDir) $cache.parent) }}{{ fail (printf "nodeGroups.cache.parent %s and kubeletDir %s must not hold each other: choose another parent" $cache.parent .Values.kubeletDir) }}{{ end -}}
{{- range .Values.nodeGroups.originPaths }}
{{- if or (eq . $cache.parent) (eq . $.Values.kubeletDir) }}{{ fail (printf "nodeGroups.originPaths: %s is a directory of Stowage's own" .) }}{{ end -}}
{{- end }}
{{- range .Values.nodeGroups.storageClasses }}
{{- $p := .parameters | default dict -}}
{{- $mounted := eq ($p.origin | default "nfs") "mount" -}}
{{- if and (not $mounted) (not $.Values.nfsServer.enabled) (or (not $p.server) (not $p.share)) }}{{ fail (printf "StorageClass '%s': name its server and share, since the chart runs no NFS server (nfsServer.enabled)" .name) }}{{ end -}}
{{- if $mounted }}
{{- $known := false -}}
{{- range $.Values.controller.origins }}{{ if eq .name ($p.originName | default "") }}{{ $known = true }}{{ end }}{{ end -}}
{{- if not $known }}{{ fail (printf "StorageClass '%s': originName '%s' is not in controller.origins" .name ($p.originName | default "")) }}{{ end -}}
{{- end }}
{{- if and (not $mounted) $p.server (not $p.share) }}{{ fail (printf "StorageClass '%s': name its share as well" .name) }}{{ end -}}
{{- end }}
{{- end }}

{{/* Is the parent of the cache mounted already, as that of the pools? */}}
{{- define "stowage.cacheParentIsOwn" -}}
{{- if not (and .Values.localVolumes.enabled (eq .Values.localVolumes.parent .Values.nodeGroups.cache.parent)) }}yes{{ end -}}
{{- end }}

{{- define "stowage.checkLocal" -}}
{{- $parent := .Values.localVolumes.parent -}}
{{- if not .Values.localVolumes.pools }}{{ fail "localVolumes.enabled needs a pool: name one in localVolumes.pools" }}{{ end -}}
{{- if or (hasPrefix (printf "%s/" $parent) (printf "%s/" .Values.kubeletDir)) (hasPrefix (printf "%s/" .Values.kubeletDir) $parent) }}{{ fail (printf "localVolumes.parent %s and kubeletDir %s must not hold each other: choose another parent" $parent .Values.kubeletDir) }}{{ end -}}
{{- $pools := dict -}}
{{- range .Values.localVolumes.pools }}
{{- if hasKey $pools .name }}{{ fail (printf "two pools are called '%s': give each its own name" .name) }}{{ end -}}
{{- $_ := set $pools .name true -}}
{{- if and (ne .kind "device") (not (hasPrefix (printf "%s/" $parent) .path)) }}{{ fail (printf "pool '%s': %s is not below localVolumes.parent %s: mount its disk there, or change the parent" .name .path $parent) }}{{ end -}}
{{- end }}
{{- range .Values.inlineVolumes.allowedPools }}
{{- if and (ne . "*") (not (hasKey $pools .)) }}{{ fail (printf "inlineVolumes.allowedPools: there is no pool '%s' in localVolumes.pools" .) }}{{ end -}}
{{- end }}
{{- range .Values.localVolumes.storageClasses }}
{{- $pool := dig "parameters" "pool" "" . -}}
{{- if and $pool (not (hasKey $pools $pool)) }}{{ fail (printf "StorageClass '%s': there is no pool '%s' in localVolumes.pools" .name $pool) }}{{ end -}}
{{- if and (not $pool) (gt (len $pools) 1) }}{{ fail (printf "StorageClass '%s': name its pool (parameters.pool), since there are several" .name) }}{{ end -}}
{{- end }}
{{- end }}

{{- define "stowage.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* For containers without any privilege. */}}
{{- define "stowage.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* For sidecars on the nodes: root, since the kubelet's directories are root's, and nothing else. */}}
{{- define "stowage.nodeSidecar" -}}
runAsUser: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where a sidecar runs: what those ask that work for their own node. */}}
{{- define "stowage.podEnv" -}}
- {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
{{- end }}

{{/* The kubelet asks the program itself, over its CSI socket: no sidecar is needed for it. Call with the flag that names it. */}}
{{- define "stowage.csiProbes" -}}
startupProbe:
  exec: {command: [/usr/bin/stowage, csi, Probe, {{ . }}, --timeout=3]}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  exec: {command: [/usr/bin/stowage, csi, Probe, {{ . }}, --timeout=8]}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 5
{{- end }}

{{/* A sidecar with leader election tells on its own port whether it still holds or seeks the lease. */}}
{{- define "stowage.leaderProbe" -}}
livenessProbe:
  httpGet: {path: /healthz/leader-election, port: {{ . }}}
  initialDelaySeconds: 10
  timeoutSeconds: 10
  periodSeconds: 20
{{- end }}
