{{- define "stowage.store.name" -}}{{ include "stowage.name" . }}-store{{- end }}
{{- define "stowage.store.host" -}}{{ include "stowage.store.name" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}{{- end }}
{{- define "stowage.store.url" -}}
{{ ternary "https" "http" (ne .Values.store.tls.existingSecret "") }}://{{ include "stowage.store.host" . }}:{{ .Values.store.service.port }}
{{- end }}

{{/* Claims. Of the backups: nothing when they are on the store's own volume. */}}
{{- define "stowage.store.claim" -}}
{{ .Values.store.persistence.existingClaim | default (include "stowage.store.name" .) }}
{{- end }}
{{- define "stowage.store.backupClaim" -}}
{{- $p := .Values.store.backup.persistence -}}
{{- if .Values.store.backup.enabled -}}
{{- if $p.existingClaim }}{{ $p.existingClaim }}{{ else if $p.size }}{{ include "stowage.store.name" . }}-backups{{ end -}}
{{- end -}}
{{- end }}

{{/* Where things are in the containers. The data is where the programs look for it by themselves. */}}
{{- define "stowage.store.backups" -}}
{{ ternary "/backups" "/var/lib/stowage/backups" (ne (include "stowage.store.backupClaim" .) "") }}
{{- end }}
{{- define "stowage.store.mounts" -}}
- {name: data, mountPath: /var/lib/stowage}
{{- if include "stowage.store.backupClaim" . }}
- {name: backups, mountPath: /backups}
{{- end }}
{{- end }}
{{- define "stowage.store.backupMounts" -}}
{{- if include "stowage.store.backupClaim" . }}
- {name: data, mountPath: /var/lib/stowage, readOnly: true}
- {name: backups, mountPath: /backups}
{{- else }}
- {name: data, mountPath: /var/lib/stowage}
{{- end }}
{{- end }}
{{- define "stowage.store.volumes" -}}
- {name: data, persistentVolumeClaim: {claimName: {{ include "stowage.store.claim" . }}}}
{{- with include "stowage.store.backupClaim" . }}
- {name: backups, persistentVolumeClaim: {claimName: {{ . }}}}
{{- end }}
{{- with .Values.store.tls.existingSecret }}
- {name: tls, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- end }}

{{/* The owner of its files. On a volume that is not its own yet, the kubelet makes them so once, and not at each start. */}}
{{- define "stowage.store.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "stowage.store.probe" -}}
httpGet: {path: {{ index . 1 }}, port: store, scheme: {{ ternary "HTTPS" "HTTP" (ne (index . 0).Values.store.tls.existingSecret "") }}}
{{- end }}

{{/* Whose tokens the store has the API server review: the operator's, or every pod's too. "" none. */}}
{{- define "stowage.store.reviews" -}}
{{- if or .Values.store.serviceAccountTokens .Values.operator.enabled }}true{{ end -}}
{{- end }}

{{- define "stowage.store.check" -}}
{{- $s := .Values.store -}}
{{- if and $s.restore (not $s.backup.enabled) }}{{ fail "store.restore reads a backup of the volume of backups: set store.backup.enabled too" }}{{ end -}}
{{- if and $s.backup.enabled $s.backup.persistence.existingClaim (eq $s.backup.persistence.existingClaim (include "stowage.store.claim" .)) }}{{ fail "store.backup.persistence.existingClaim is the store's own claim: leave it and its size empty to keep backups there" }}{{ end -}}
{{- if and $s.serviceAccounts (not $s.serviceAccountTokens) }}{{ fail "store.serviceAccounts counts with store.serviceAccountTokens: true only" }}{{ end -}}
{{- range $arg := $s.extraArgs }}
{{- $flag := first (splitList "=" $arg) -}}
{{- if has $flag (list "--data-dir" "--listen" "--backup-dir" "--restore" "--tokens" "--allow-remote" "--tls-cert" "--tls-key" "--public-url" "--quota" "--log-level" "--token-review" "--service-account") }}{{ fail (printf "store.extraArgs: %s is the chart's to give, by a value of its own" $flag) }}{{ end -}}
{{- end -}}
{{- end }}

{{/* A claim that outlives the release; call with (list . name size class). */}}
{{- define "stowage.store.claimObject" -}}
{{- $ := index . 0 -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ index . 1 }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "stowage.labels" (list $ "store") | nindent 4 }}
  annotations: {helm.sh/resource-policy: keep}
spec:
  accessModes: [ReadWriteOnce]
  {{- with index . 3 }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ index . 2 }}}}
{{- end }}
