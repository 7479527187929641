{{/*
What the pods of all roles have alike. They take (dict "root" $ "role" "gateway"); the values of a role
are at its name.
*/}}

{{/* The volumes: what is secret is mounted, never in the environment. */}}
{{- define "backhaul.volumes" -}}
{{- $role := get .root.Values .role }}
{{- $needs := .needs }}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
- name: data
{{- with $role.workStorage }}
{{- if .storageClassName }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .storageClassName }}
        resources:
          requests:
            storage: {{ .size }}
{{- else }}
  emptyDir:
    sizeLimit: {{ .size }}
{{- end }}
{{- end }}
{{- with .root.Values }}
{{- if .ca.existingSecret }}
{{ include "backhaul.secretVolume" (dict "name" "ca" "secret" .ca.existingSecret "key" .ca.key "path" "ca.crt") }}
{{- end }}
{{- if or (has "keys" $needs) (has "sealKey" $needs) }}
- name: keys
  secret:
    secretName: {{ .keys.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .keys.sealKeyKey }}
        path: seal-key
{{- if has "keys" $needs }}
      - key: {{ .keys.pseudonymKeysKey }}
        path: pseudonym-keys
{{- end }}
{{- end }}
{{- if and (has "auth" $needs) (eq .auth.mode "hs256") }}
{{ include "backhaul.secretVolume" (dict "name" "auth" "secret" .auth.existingSecret "key" .auth.secretKey "path" "secret") }}
{{- end }}
{{- if and (has "ingestKeys" $needs) .auth.ingestKeys.existingSecret }}
{{ include "backhaul.secretVolume" (dict "name" "ingest-keys" "secret" .auth.ingestKeys.existingSecret "key" .auth.ingestKeys.key "path" "keys") }}
{{- end }}
{{- if and (has "kafka" $needs) (include "backhaul.usesSasl" $.root) }}
{{- $user := include "backhaul.kafkaUser" $ | fromYaml }}
{{ include "backhaul.secretVolume" (dict "name" "kafka" "secret" $user.existingSecret "key" $user.passwordKey "path" "password") }}
{{- end }}
{{- if and (has "kafka" $needs) .kafka.ca.existingSecret }}
{{ include "backhaul.secretVolume" (dict "name" "kafka-ca" "secret" .kafka.ca.existingSecret "key" .kafka.ca.key "path" "ca.crt") }}
{{- end }}
{{- if has "cassandra" $needs }}
{{- $user := include "backhaul.cassandraUser" $ | fromYaml }}
{{- if $user.user }}
{{ include "backhaul.secretVolume" (dict "name" "cassandra" "secret" $user.existingSecret "key" $user.passwordKey "path" "password") }}
{{- end }}
{{- end }}
{{- if and (has "cassandra" $needs) .cassandra.ca.existingSecret }}
{{ include "backhaul.secretVolume" (dict "name" "cassandra-ca" "secret" .cassandra.ca.existingSecret "key" .cassandra.ca.key "path" "ca.crt") }}
{{- end }}
{{- end }}
{{- range $index, $mount := $role.secretMounts }}
- name: secret-{{ $index }}
  secret:
    secretName: {{ $mount.secretName }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "backhaul.secretVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: {{ .path }}
{{- end -}}

{{- define "backhaul.volumeMounts" -}}
{{- $role := get .root.Values .role }}
{{- $needs := .needs }}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /var/lib/backhaul
{{- with .root.Values }}
{{- if .ca.existingSecret }}
{{ include "backhaul.secretMount" "ca" }}
{{- end }}
{{- if or (has "keys" $needs) (has "sealKey" $needs) }}
{{ include "backhaul.secretMount" "keys" }}
{{- end }}
{{- if and (has "auth" $needs) (eq .auth.mode "hs256") }}
{{ include "backhaul.secretMount" "auth" }}
{{- end }}
{{- if and (has "ingestKeys" $needs) .auth.ingestKeys.existingSecret }}
{{ include "backhaul.secretMount" "ingest-keys" }}
{{- end }}
{{- if and (has "kafka" $needs) (include "backhaul.usesSasl" $.root) }}
{{ include "backhaul.secretMount" "kafka" }}
{{- end }}
{{- if and (has "kafka" $needs) .kafka.ca.existingSecret }}
{{ include "backhaul.secretMount" "kafka-ca" }}
{{- end }}
{{- if and (has "cassandra" $needs) (include "backhaul.cassandraUser" $ | fromYaml).user }}
{{ include "backhaul.secretMount" "cassandra" }}
{{- end }}
{{- if and (has "cassandra" $needs) .cassandra.ca.existingSecret }}
{{ include "backhaul.secretMount" "cassandra-ca" }}
{{- end }}
{{- end }}
{{- range $index, $mount := $role.secretMounts }}
- name: secret-{{ $index }}
  mountPath: {{ $mount.mountPath }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "backhaul.secretMount" -}}
- name: {{ . }}
  mountPath: /etc/backhaul/{{ . }}
  readOnly: true
{{- end -}}

{{/* Everything of a pod but its containers and volumes. */}}
{{- define "backhaul.podSpec" -}}
{{- $role := get .root.Values .role -}}
serviceAccountName: {{ include "backhaul.serviceAccountName" . }}
# Identity comes from the metadata server, not from a token of the cluster.
automountServiceAccountToken: false
# Kubernetes would add variables such as BACKHAUL_GATEWAY_PORT, which are refused as unknown settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with $role.pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $role.pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Over zones first, then over nodes; a pod is rather placed unevenly than not at all. */}}
{{- define "backhaul.spread" -}}
topologySpreadConstraints:
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "backhaul.selectorLabels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* What the containers of all roles have alike. */}}
{{- define "backhaul.container" -}}
image: {{ include "backhaul.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml (get .root.Values .role).resources | nindent 2 }}
volumeMounts:
  {{- include "backhaul.volumeMounts" . | trim | nindent 2 }}
{{- end -}}

{{/* Probes at the port of a role's metrics: alive while the process answers, ready while it may be sent work. It must answer within
"startSeconds". A certificate is not looked at. */}}
{{- define "backhaul.probes" -}}
{{- $at := printf "port: %s%s" (include "backhaul.metricsPort" .) (ternary ", scheme: HTTPS" "" (include "backhaul.isMetricsTls" . | eq "true")) -}}
startupProbe:
  httpGet: { path: /healthz, {{ $at }} }
  periodSeconds: 2
  failureThreshold: {{ div (.startSeconds | default 120) 2 }}
livenessProbe:
  httpGet: { path: /healthz, {{ $at }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, {{ $at }} }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Migration and smoke test ask nothing of the cloud: they have no account of their own. */}}
{{- define "backhaul.serviceAccountName" -}}
{{- $account := get .root.Values.serviceAccounts .role -}}
{{- if kindIs "map" $account -}}
{{- $account.name | default (include "backhaul.name" .) -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* Annotations of its pods, by the values of the role. */}}
{{- define "backhaul.podAnnotations" -}}
{{- with (get .root.Values .role).pod.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
