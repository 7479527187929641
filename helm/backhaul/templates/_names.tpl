{{/* Names and labels. Most take (dict "root" $ "role" "gateway"). */}}

{{- define "backhaul.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.name" -}}
{{- printf "%s-%s" (include "backhaul.fullname" .root) .role -}}
{{- end -}}

{{/* What every object of the release is selected by. */}}
{{- define "backhaul.releaseLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "backhaul.selectorLabels" -}}
{{ include "backhaul.releaseLabels" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "backhaul.commonLabels" -}}
{{ include "backhaul.releaseLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{- define "backhaul.labels" -}}
{{ include "backhaul.commonLabels" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "backhaul.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where a role is reached within the cluster, as host:port. */}}
{{- define "backhaul.address" -}}
{{ include "backhaul.name" . }}.{{ .root.Release.Namespace }}.svc:{{ include "backhaul.port" .role }}
{{- end -}}

{{/* Whether a role speaks TLS itself at the port that clients reach, and at the one where it shows its metrics. */}}
{{- define "backhaul.isTls" -}}
{{- if get (get .root.Values .role).settings (printf "%s_TLS_CERTIFICATE_FILE" (upper .role)) }}true{{ end -}}
{{- end -}}
{{- define "backhaul.isMetricsTls" -}}
{{- if eq .role "serving" -}}
{{- include "backhaul.isTls" . -}}
{{- else if get (get .root.Values .role).settings (printf "%s_ADMIN_TLS_CERTIFICATE_FILE" (upper .role)) -}}
true
{{- end -}}
{{- end -}}

{{/* The name of the port where a role shows its metrics: another with TLS, since what reads them asks by name. */}}
{{- define "backhaul.metricsPort" -}}
{{- if eq .role "serving" -}}
http
{{- else -}}
{{- ternary "metrics-tls" "metrics" (include "backhaul.isMetricsTls" . | eq "true") -}}
{{- end -}}
{{- end -}}

{{/* The port of each role that clients reach, and the one for operators: as docs/config.md has them. */}}
{{- define "backhaul.port" -}}
{{- get (dict "gateway" "8080" "serving" "8081") . -}}
{{- end -}}
{{- define "backhaul.adminPort" -}}
{{- get (dict "gateway" "8079" "relay" "8077" "processor" "8078") . -}}
{{- end -}}
