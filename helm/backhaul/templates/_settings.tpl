{{/*
Settings are environment variables, each of docs/config.md. A role gets those that it reads and no
others: it refuses what it does not know.
*/}}

{{/* A value as text: numbers of YAML whole, lists joined. */}}
{{- define "backhaul.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if or (kindIs "float64" .) (kindIs "int64" .) (kindIs "int" .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* A map of settings as the container's env. */}}
{{- define "backhaul.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ include "backhaul.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* A whole number of a map of settings. */}}
{{- define "backhaul.number" -}}
{{- int64 (get .settings .name) -}}
{{- end -}}

{{- define "backhaul.env.common" -}}
- name: BACKHAUL_DATA_DIR
  value: /var/lib/backhaul
{{- if .Values.ca.existingSecret }}
# Of Node: authorities beside those that it trusts by itself.
- name: NODE_EXTRA_CA_CERTS
  value: /etc/backhaul/ca/ca.crt
{{- end }}
{{- include "backhaul.settings" .Values.settings }}
{{- end -}}

{{/* Keys of pseudonyms and of sealed rejects: without them services would each make their own. */}}
{{- define "backhaul.env.sealKey" -}}
- name: BACKHAUL_SEAL_KEY_FILE
  value: /etc/backhaul/keys/seal-key
{{- end -}}
{{- define "backhaul.env.keys" -}}
{{ include "backhaul.env.sealKey" . }}
- name: BACKHAUL_PSEUDONYM_KEYS_FILE
  value: /etc/backhaul/keys/pseudonym-keys
{{- end -}}

{{- define "backhaul.env.auth" -}}
{{- with .Values.auth }}
- name: BACKHAUL_AUTH_MODE
  value: {{ .mode }}
{{- if eq .mode "hs256" }}
- name: BACKHAUL_AUTH_SECRET_FILE
  value: /etc/backhaul/auth/secret
{{- else }}
- name: BACKHAUL_AUTH_JWKS_URL
  value: {{ .jwksUrl | quote }}
{{- end }}
{{- with .issuer }}
- name: BACKHAUL_AUTH_ISSUER
  value: {{ . | quote }}
{{- end }}
{{- with .audience }}
- name: BACKHAUL_AUTH_AUDIENCE
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The user by which a role is known to Kafka: its own where it has one; reconcile reads as the batch does. */}}
{{- define "backhaul.kafkaUser" -}}
{{- $role := ternary "batch" .role (eq .role "reconcile") -}}
{{- with .root.Values.kafka.sasl -}}
{{- mergeOverwrite (dict "user" .user "existingSecret" .existingSecret "passwordKey" .passwordKey) (get .roles $role | default dict) | toYaml -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.usesSasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.security }}true{{ end -}}
{{- end -}}

{{- define "backhaul.env.kafka" -}}
{{- $user := include "backhaul.kafkaUser" . | fromYaml }}
{{- with .root.Values.kafka }}
- name: KAFKA_BROKERS
  value: {{ join "," .brokers | quote }}
- name: KAFKA_SECURITY
  value: {{ .security }}
{{- if include "backhaul.usesSasl" $.root }}
- name: KAFKA_SASL_MECHANISM
  value: {{ .sasl.mechanism }}
- name: KAFKA_SASL_USER
  value: {{ $user.user | quote }}
- name: KAFKA_SASL_PASSWORD_FILE
  value: /etc/backhaul/kafka/password
{{- end }}
{{- if .ca.existingSecret }}
- name: KAFKA_TLS_CA_FILE
  value: /etc/backhaul/kafka-ca/ca.crt
{{- end }}
{{- include "backhaul.settings" .settings }}
{{- end }}
{{- end -}}

{{/* Likewise the user of Cassandra, where an operator's commands are the batch too. */}}
{{- define "backhaul.cassandraUser" -}}
{{- $role := ternary "batch" .role (has .role (list "reconcile" "operator")) -}}
{{- with .root.Values.cassandra -}}
{{- mergeOverwrite (dict "user" .user "existingSecret" .existingSecret "passwordKey" .passwordKey) (get .roles $role | default dict) | toYaml -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.env.cassandra" -}}
{{- $user := include "backhaul.cassandraUser" . | fromYaml }}
{{- with .root.Values.cassandra }}
- name: CASSANDRA_CONTACT_POINTS
  value: {{ join "," .contactPoints | quote }}
- name: CASSANDRA_LOCAL_DATA_CENTER
  value: {{ .localDataCenter | quote }}
- name: CASSANDRA_KEYSPACE
  value: {{ .keyspace | quote }}
{{- if $user.user }}
- name: CASSANDRA_USER
  value: {{ $user.user | quote }}
- name: CASSANDRA_PASSWORD_FILE
  value: /etc/backhaul/cassandra/password
{{- end }}
- name: CASSANDRA_TLS
  value: {{ .tls | quote }}
{{- if .ca.existingSecret }}
- name: CASSANDRA_TLS_CA_FILE
  value: /etc/backhaul/cassandra-ca/ca.crt
{{- end }}
{{- include "backhaul.settings" .settings }}
{{- end }}
{{- end -}}

{{- define "backhaul.env.objects" -}}
- name: OBJECT_STORE
  value: gcs
- name: GCS_BUCKET
  value: {{ .Values.objectStore.bucket | quote }}
{{- include "backhaul.settings" .Values.objectStore.settings }}
{{- end -}}

{{/* Where the tables of the history are, for whoever writes or reads them. */}}
{{- define "backhaul.env.warehouse" -}}
{{- with .Values.warehouse }}
- name: WAREHOUSE_STORE
  value: {{ .store }}
{{- if eq .store "bigquery" }}
- name: BIGQUERY_PROJECT
  value: {{ .project | quote }}
- name: BIGQUERY_DATASET
  value: {{ .dataset | quote }}
- name: BIGQUERY_LOCATION
  value: {{ .location | quote }}
{{- include "backhaul.settings" .settings }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What commands have to know, for (dict "root" $ "role" "batch"): views and their limits are those of the processor. */}}
{{- define "backhaul.env.batch" -}}
{{ include "backhaul.env.common" .root }}
{{ include "backhaul.env.kafka" . | trim }}
{{ include "backhaul.env.cassandra" . | trim }}
{{ include "backhaul.env.objects" .root }}
{{ include "backhaul.env.warehouse" .root | trim }}
- name: EVENT_LOG
  value: kafka
- name: PROCESSOR_SPEED_STORE
  value: cassandra
{{- include "backhaul.settings" .root.Values.processor.settings }}
{{- include "backhaul.settings" .root.Values.batch.settings }}
{{- end -}}

{{/* An operator's commands open what is sealed and find viewers by their names, which the batch never does. */}}
{{- define "backhaul.env.operator" -}}
{{ include "backhaul.env.batch" . }}
{{ include "backhaul.env.keys" .root }}
{{- end -}}
