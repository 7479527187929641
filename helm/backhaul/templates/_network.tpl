{{/* What each role talks to. `clients`: is called at its port; `port`: calls others at this one. */}}
{{- define "backhaul.network.needs" -}}
gateway:
  clients: true
  metrics: metrics
  kafka: true
  port: {{ ternary 443 0 (eq .Values.auth.mode "jwks") }}
{{- if .Values.relay.enabled }}
relay:
  metrics: metrics
  kafka: true
  cloud: true
{{- end }}
processor:
  metrics: metrics
  kafka: true
  cassandra: true
  cloud: true
serving:
  clients: true
  metrics: http
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
