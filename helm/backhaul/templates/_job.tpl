{{/*
A pod of a command (npx backhaul …), which ends by itself. What no repeat mends ends the job at once: a defect or a
failure for good (1), a command line that is not understood (2), a setting that cannot be used (4). docs/cli.md has the codes.
*/}}
{{- define "backhaul.podFailurePolicy" -}}
podFailurePolicy:
  rules:
    # Moved to another node: not a failure, and safe to repeat.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: 'True'
    - action: FailJob
      onExitCodes:
        containerName: {{ . }}
        operator: In
        values: [1, 2, 4]
{{- end -}}

{{/* (dict "root" $ "role" "batch" "args" (list …) "env" "backhaul.env.batch") */}}
{{- define "backhaul.commandPod" -}}
metadata:
  labels:
    {{- include "backhaul.labels" . | nindent 4 }}
  {{- include "backhaul.podAnnotations" . | trim | nindent 2 }}
spec:
  {{- include "backhaul.podSpec" . | nindent 2 }}
  restartPolicy: Never
  # A run that is stopped gives up its lease, and what it has begun is gone on with.
  terminationGracePeriodSeconds: 120
  containers:
    - name: {{ .role }}
      args:
        {{- toYaml (prepend .args "backhaul") | nindent 8 }}
      {{- include "backhaul.container" . | nindent 6 }}
      env:
        {{- include .env . | trim | nindent 8 }}
        {{- with .moreEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "backhaul.volumes" . | trim | nindent 4 }}
{{- end -}}

{{/*
A CronJob of such a pod, by the values of its role, or by (… "fixed" (dict "schedule" …)) where it has no such value.
A role may have several: the others are told apart by (… "suffix" "-verify").
*/}}
{{- define "backhaul.cronJob" -}}
{{- $values := mergeOverwrite (dict) (get .root.Values .role) (.fixed | default dict) -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "backhaul.name" . }}{{ .suffix | default "" }}
  labels:
    {{- include "backhaul.labels" . | nindent 4 }}
spec:
  schedule: {{ $values.schedule | quote }}
  timeZone: Etc/UTC
  suspend: {{ $values.suspend }}
  # A lease keeps runs apart as well; this one keeps them from queueing up.
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {{ int64 $values.startingDeadlineSeconds }}
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 5
  jobTemplate:
    metadata:
      labels:
        {{- include "backhaul.labels" . | nindent 8 }}
    spec:
      activeDeadlineSeconds: {{ int64 $values.activeDeadlineSeconds }}
      backoffLimit: {{ $values.backoffLimit }}
      {{- include "backhaul.podFailurePolicy" .role | nindent 6 }}
      {{- if gt (int (.shards | default 1)) 1 }}
      completionMode: Indexed
      completions: {{ .shards }}
      parallelism: {{ .shards }}
      {{- end }}
      template:
        {{- include "backhaul.commandPod" . | nindent 8 }}
{{- end -}}
