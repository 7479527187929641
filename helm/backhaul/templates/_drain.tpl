{{/*
How long a stop takes. The product ends itself after these times (gateway/alone.ts, processor/run.ts,
gateway/relay/main.ts, shared/runtime/stop-signals.ts); killed earlier, it would lose what it is there to keep.
*/}}

{{/* Seconds of a number of milliseconds, rounded up. */}}
{{- define "backhaul.seconds" -}}
{{- div (add (int64 .) 999) 1000 -}}
{{- end -}}

{{/* The processes of a pool drain one after another, each in its grace and 10 s beside. */}}
{{- define "backhaul.gateway.stopSeconds" -}}
{{- $settings := .Values.gateway.settings -}}
{{- $graceMs := int64 $settings.GATEWAY_DRAIN_GRACE_MS -}}
{{- $processes := int64 $settings.GATEWAY_PROCESSES -}}
{{- include "backhaul.seconds" (mul $processes (add $graceMs 10000)) -}}
{{- end -}}

{{- define "backhaul.gateway.graceSeconds" -}}
{{- $least := add (int64 .Values.gateway.preStopSeconds) (int64 (include "backhaul.gateway.stopSeconds" .)) -}}
{{- .Values.gateway.terminationGracePeriodSeconds | default $least | int64 -}}
{{- end -}}

{{/* A stop of the processor writes rows and checkpoints within its grace, and 15 s beside. */}}
{{- define "backhaul.processor.graceSeconds" -}}
{{- include "backhaul.seconds" (add (int64 .Values.processor.settings.PROCESSOR_STOP_GRACE_MS) 15000) -}}
{{- end -}}

{{/* A stop of the relay waits for the appends that are under way, and 5 s beside. */}}
{{- define "backhaul.relay.graceSeconds" -}}
{{- include "backhaul.seconds" (add (int64 .Values.relay.settings.GATEWAY_APPEND_DEADLINE_MS) 5000) -}}
{{- end -}}

{{/* A stop of serving answers what it was asked, in 30 s at most. */}}
{{- define "backhaul.serving.graceSeconds" -}}
{{- add (int64 .Values.serving.preStopSeconds) 30 -}}
{{- end -}}
