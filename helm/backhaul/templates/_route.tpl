{{/*
A Service behind a Gateway of GKE: the route, how long the load balancer lets a connection live and
drain, and how it sees that a pod is ready. (dict "root" $ "role" "gateway" "prefixes" (list …) "pages" (list …) "drainSeconds" n)
*/}}
{{- define "backhaul.route" -}}
{{- $values := get .root.Values .role -}}
{{- $route := $values.route -}}
{{- $name := include "backhaul.name" . -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {{ $name }}
  labels:
    {{- include "backhaul.labels" . | nindent 4 }}
spec:
  parentRefs:
    - name: {{ $route.gateway.name }}
      {{- with $route.gateway.namespace }}
      namespace: {{ . }}
      {{- end }}
      {{- with $route.gateway.sectionName }}
      sectionName: {{ . }}
      {{- end }}
  {{- with $route.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    # Nothing else of the port is shown: its metrics are not for the outside.
    - matches:
        {{- range .prefixes }}
        - path:
            type: PathPrefix
            value: {{ . }}
        {{- end }}
        {{- range .pages }}
        - path:
            type: Exact
            value: {{ . }}
        {{- end }}
      backendRefs:
        - name: {{ $name }}
          port: {{ include "backhaul.port" .role }}
---
apiVersion: networking.gke.io/v1
kind: GCPBackendPolicy
metadata:
  name: {{ $name }}
  labels:
    {{- include "backhaul.labels" . | nindent 4 }}
spec:
  default:
    # Of a WebSocket it is the whole life, not the wait for an answer.
    timeoutSec: {{ int64 $route.timeoutSeconds }}
    connectionDraining:
      drainingTimeoutSec: {{ int64 .drainSeconds }}
    {{- with $route.securityPolicy }}
    securityPolicy: {{ . }}
    {{- end }}
  targetRef:
    group: ''
    kind: Service
    name: {{ $name }}
---
apiVersion: networking.gke.io/v1
kind: HealthCheckPolicy
metadata:
  name: {{ $name }}
  labels:
    {{- include "backhaul.labels" . | nindent 4 }}
spec:
  default:
    checkIntervalSec: 5
    timeoutSec: 5
    healthyThreshold: 1
    unhealthyThreshold: 2
    config:
      {{- if include "backhaul.isTls" . }}
      type: HTTPS
      httpsHealthCheck:
      {{- else }}
      type: HTTP
      httpHealthCheck:
      {{- end }}
        portSpecification: USE_SERVING_PORT
        requestPath: /readyz
  targetRef:
    group: ''
    kind: Service
    name: {{ $name }}
{{- end -}}
