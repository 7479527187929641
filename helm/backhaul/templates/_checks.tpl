{{/*
What no schema can say: values that contradict one another. Each message says what is expected and what
was received, as the product's own errors do.
*/}}
{{- define "backhaul.checks" -}}
{{- include "backhaul.checks.gateway" . -}}
{{- include "backhaul.checks.processor" . -}}
{{- include "backhaul.checks.batch" . -}}
{{- include "backhaul.checks.secrets" . -}}
{{- range $name := list "project" "location" -}}
{{- if and (eq $.Values.warehouse.store "bigquery") (not (get $.Values.warehouse $name)) -}}
{{- fail (printf "warehouse.store bigquery: expected warehouse.%s, received none" $name) -}}
{{- end -}}
{{- end -}}
{{- include "backhaul.checks.feeds" . -}}
{{- range $role := list "gateway" "serving" -}}
{{- with get $.Values $role -}}
{{- if and .route.enabled (not .route.gateway.name) -}}
{{- fail (printf "%s.route.enabled: expected %s.route.gateway.name, received none" $role $role) -}}
{{- end -}}
{{- if and .autoscaling.enabled (gt (int64 .autoscaling.minReplicas) (int64 .autoscaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling.minReplicas: expected at most maxReplicas = %d, received %d" $role (int64 .autoscaling.maxReplicas) (int64 .autoscaling.minReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.checks.feeds" -}}
{{- with .Values.relay.feeds -}}
{{- $given := without (list (ternary "inline" "" (not (empty .inline))) (ternary "existingConfigMap" "" (not (empty .existingConfigMap))) (ternary "existingSecret" "" (not (empty .existingSecret)))) "" -}}
{{- if and $.Values.relay.enabled (not $given) -}}
{{- fail "relay.enabled: expected relay.feeds.inline, existingConfigMap or existingSecret, received none of them" -}}
{{- end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "relay.feeds: expected one of inline, existingConfigMap and existingSecret, received %s" (join " and " $given)) -}}
{{- end -}}
{{- /* They are shown to whoever sees the values or the ConfigMap. */ -}}
{{- range $feed := .inline -}}
{{- range $name, $value := $feed.headers -}}
{{- if kindIs "string" $value -}}
{{- fail (printf "relay.feeds.inline: expected header %s of feed %s as { path: … } of a mounted secret, or all feeds in existingSecret, received its text" $name $feed.id) -}}
{{- end -}}
{{- end -}}
{{- range $feed.urls -}}
{{- if regexMatch "^[a-z]+://[^/?#]*@" . -}}
{{- fail (printf "relay.feeds.inline: expected addresses of feed %s without credentials, or all feeds in existingSecret, received some" $feed.id) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.checks.gateway" -}}
{{- with .Values.gateway -}}
{{- $stop := int64 (include "backhaul.gateway.stopSeconds" $) -}}
{{- $least := add (int64 .preStopSeconds) $stop -}}
{{- if .terminationGracePeriodSeconds -}}
{{- if lt (int64 .terminationGracePeriodSeconds) $least -}}
{{- fail (printf "gateway.terminationGracePeriodSeconds: expected at least %d (preStopSeconds %d + drain %d), received %d" $least (int64 .preStopSeconds) $stop (int64 .terminationGracePeriodSeconds)) -}}
{{- end -}}
{{- end -}}
{{- $lifetime := int64 .settings.GATEWAY_MAX_LIFETIME_MS -}}
{{- if and .route.enabled (or (eq $lifetime 0) (lt (mul 1000 (int64 .route.timeoutSeconds)) $lifetime)) -}}
{{- fail (printf "gateway.route.timeoutSeconds: expected at least GATEWAY_MAX_LIFETIME_MS = %d ms, which is not 0, received %d s" $lifetime (int64 .route.timeoutSeconds)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.checks.processor" -}}
{{- $partitions := int64 .Values.settings.BACKHAUL_PARTITIONS -}}
{{- with .Values.processor -}}
{{- $most := ternary .autoscaling.maxReplicas .replicas .autoscaling.enabled | int64 -}}
{{- if gt $most $partitions -}}
{{- fail (printf "processor: expected at most as many pods as BACKHAUL_PARTITIONS = %d, received %d" $partitions $most) -}}
{{- end -}}
{{- if and .autoscaling.enabled (gt (int64 .autoscaling.minReplicas) $most) -}}
{{- fail (printf "processor.autoscaling.minReplicas: expected at most maxReplicas = %d, received %d" $most (int64 .autoscaling.minReplicas)) -}}
{{- end -}}
{{- if and .autoscaling.enabled (not .autoscaling.view) -}}
{{- $settings := mergeOverwrite (dict) $.Values.settings .settings -}}
{{- range $name := ($.Files.Get "files/default-view.json" | fromJson).changedBy -}}
{{- if hasKey $settings $name -}}
{{- fail (printf "processor.autoscaling.view: expected the view that %s makes (npx backhaul view list), received none" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.checks.batch" -}}
{{- $names := list -}}
{{- range .Values.batch.schedules -}}
{{- if has .name $names -}}
{{- fail (printf "batch.schedules: expected names that differ, received %s twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $whole := printf "%s-%s" (include "backhaul.name" (dict "root" $ "role" "batch")) .name -}}
{{- /* Kubernetes adds what tells the jobs of one apart. */ -}}
{{- if gt (len $whole) 52 -}}
{{- fail (printf "batch.schedules: expected at most 52 characters in the name of a CronJob, received %s" $whole) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "backhaul.checks.secrets" -}}
{{- with .Values.auth -}}
{{- if and (eq .mode "jwks") (not .jwksUrl) -}}
{{- fail "auth.mode jwks: expected auth.jwksUrl, received none" -}}
{{- end -}}
{{- if and (eq .mode "hs256") (not .existingSecret) -}}
{{- fail "auth.mode hs256: expected auth.existingSecret, received none" -}}
{{- end -}}
{{- end -}}
{{- if include "backhaul.usesSasl" . -}}
{{- $roles := list "gateway" "relay" "processor" "serving" "batch" -}}
{{- range $role := ternary (append $roles "operator") $roles .Values.operator.enabled -}}
{{- $user := include "backhaul.kafkaUser" (dict "root" $ "role" $role) | fromYaml -}}
{{- if not (and $user.user $user.existingSecret) -}}
{{- fail (printf "kafka.security %s: expected user and existingSecret in kafka.sasl or kafka.sasl.roles.%s, received %s" $.Values.kafka.security $role (ternary "no secret" "no user" (ne $user.user ""))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.kafka -}}
{{- if and .ca.existingSecret (not (hasSuffix "SSL" .security)) -}}
{{- fail (printf "kafka.ca: expected kafka.security SSL or SASL_SSL, received %s" .security) -}}
{{- end -}}
{{- end -}}
{{- range $role := list "processor" "serving" "batch" "schemaMigration" -}}
{{- $user := include "backhaul.cassandraUser" (dict "root" $ "role" $role) | fromYaml -}}
{{- if and $user.user (not $user.existingSecret) -}}
{{- fail (printf "cassandra.user: expected existingSecret in cassandra or cassandra.roles.%s, received none" $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
