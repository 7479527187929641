{{/* What each role talks to. `clients`: is called at its port; `keySet`: fetches the keys of tokens. */}}
{{- define "backhaul.network.needs" -}}
{{- $isKeySet := eq .Values.auth.mode "jwks" }}
gateway:
  clients: true
  metrics: {{ include "backhaul.metricsPort" (dict "root" . "role" "gateway") }}
  kafka: true
  keySet: {{ $isKeySet }}
{{- if .Values.relay.enabled }}
relay:
  metrics: {{ include "backhaul.metricsPort" (dict "root" . "role" "relay") }}
  kafka: true
  cloud: true
{{- end }}
processor:
  metrics: {{ include "backhaul.metricsPort" (dict "root" . "role" "processor") }}
  kafka: true
  cassandra: true
  cloud: true
serving:
  clients: true
  metrics: http
  keySet: {{ $isKeySet }}
  kafka: true
  cassandra: true
  cloud: true
{{- if .Values.batch.enabled }}
batch:
  kafka: true
  cassandra: true
  cloud: true
{{- end }}
{{- if .Values.reconcile.enabled }}
reconcile:
  kafka: true
  cassandra: true
  cloud: true
{{- end }}
{{- if .Values.operator.enabled }}
operator:
  kafka: true
  cassandra: true
  cloud: true
{{- end }}
{{- if .Values.schemaMigration.enabled }}
schema-migration:
  cassandra: true
{{- end }}
smoke:
  roles: [gateway, serving]
{{- end -}}

{{/* Where the key set of tokens is, as host:port. */}}
{{- define "backhaul.keySetAddress" -}}
{{- $url := urlParse .Values.auth.jwksUrl -}}
{{- if regexMatch ":[0-9]+$" $url.host -}}
{{ $url.host }}
{{- else -}}
{{ $url.host }}:{{ ternary 80 443 (eq $url.scheme "http") }}
{{- end -}}
{{- end -}}

{{/* The ports of some host:port, to anywhere unless it is said where they are. */}}
{{- define "backhaul.network.egress" -}}
{{- $ports := list -}}
{{- range .addresses -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
- ports:
  {{- range uniq $ports }}
    - { port: {{ . }}, protocol: TCP }
  {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
