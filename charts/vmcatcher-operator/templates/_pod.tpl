{{/* One probe: dict with its name, path, values, and the values of a release that is older than the probe's values. */}}
{{- define "vmcatcher.probe" -}}
{{- $probe := deepCopy .defaults -}}
{{- range $key, $value := .values | default dict }}{{ $_ := set $probe $key $value }}{{ end -}}
{{- if $probe.enabled }}
{{ .name }}:
  httpGet: {path: {{ .path }}, port: metrics}
  {{- with int $probe.initialDelaySeconds }}
  initialDelaySeconds: {{ . }}
  {{- end }}
  periodSeconds: {{ int $probe.periodSeconds }}
  timeoutSeconds: {{ int $probe.timeoutSeconds }}
  failureThreshold: {{ int $probe.failureThreshold }}
{{- end }}
{{- end }}

{{/* A program that waits to lead is ready too. */}}
{{- define "vmcatcher.probes" -}}
{{- $startup := dict "enabled" true "periodSeconds" 5 "timeoutSeconds" 5 "failureThreshold" 60 -}}
{{- $readiness := dict "enabled" true "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 3 -}}
{{- $liveness := dict "enabled" true "periodSeconds" 20 "timeoutSeconds" 10 "failureThreshold" 6 -}}
{{- include "vmcatcher.probe" (dict "name" "startupProbe" "path" "/healthz" "values" .Values.startupProbe "defaults" $startup) -}}
{{- include "vmcatcher.probe" (dict "name" "readinessProbe" "path" "/readyz" "values" .Values.readinessProbe "defaults" $readiness) -}}
{{- include "vmcatcher.probe" (dict "name" "livenessProbe" "path" "/healthz" "values" .Values.livenessProbe "defaults" $liveness) -}}
{{- end }}

{{/* Several programs keep to different nodes, because one of them takes over when a node fails. */}}
{{- define "vmcatcher.affinity" -}}
{{- $affinity := deepCopy (.Values.affinity | default dict) -}}
{{- $how := .Values.podAntiAffinity | default "preferred" -}}
{{- if and (gt (int .Values.replicas) 1) (ne $how "none") (not (hasKey $affinity "podAntiAffinity")) -}}
{{- $labels := dict "matchLabels" (include "vmcatcher.selector" . | fromYaml) -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $labels -}}
{{- if eq $how "required" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else -}}
{{- $weighed := dict "weight" 100 "podAffinityTerm" $term -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list $weighed)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end }}
