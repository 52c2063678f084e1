{{- define "vmcatcher.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* Values of a release that is older than a value are without it (helm upgrade --reuse-values): dig has the default. */}}
{{- define "vmcatcher.account" -}}
{{- $own := dig "serviceAccount" "create" true .Values.AsMap | ternary (include "vmcatcher.name" .) "default" -}}
{{- .Values.serviceAccount.name | default $own -}}
{{- end }}

{{- define "vmcatcher.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository: expected where the container image is" $image.repository -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "vmcatcher.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "string" . }}{{ . }}{{ else }}{{ .name }}{{ end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "vmcatcher.claim" -}}
{{- .Values.volume.existingClaim | default (printf "%s-images" (include "vmcatcher.name" .)) -}}
{{- end }}

{{- define "vmcatcher.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "vmcatcher-operator" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vmcatcher.labels" -}}
{{ include "vmcatcher.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels with more of them (dict: top, more), which replace those of the same name. */}}
{{- define "vmcatcher.labelsWith" -}}
{{- toYaml (mergeOverwrite (include "vmcatcher.labels" .top | fromYaml) (.more | default dict)) -}}
{{- end }}

{{/* The rights that the program uses, and no others. */}}
{{- define "vmcatcher.rules" -}}
- apiGroups: [vmcatcher.io]
  resources: [endorsers]
  verbs: [list, watch]
- apiGroups: [vmcatcher.io]
  resources: [cloudtargets, imagelistsubscriptions]
  verbs: [get, list, watch, patch]
- apiGroups: [vmcatcher.io]
  resources: [cachedimages]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [vmcatcher.io]
  resources: [endorsers/status, cloudtargets/status, imagelistsubscriptions/status, cachedimages/status]
  verbs: [patch]
# Some clusters require this right to create an object that blocks its owner's deletion.
- apiGroups: [vmcatcher.io]
  resources: [imagelistsubscriptions/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# Credentials, certificates and trust anchors that resources name. With named namespaces a change is seen at once.
# For all namespaces the program may not list Secrets.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: {{ if .Values.namespaces }}[get, list, watch]{{ else }}[get]{{ end }}
{{- end }}

{{/* The Leases that programs of this release hold, with a space between them. */}}
{{- define "vmcatcher.leases" -}}
{{- $name := include "vmcatcher.name" . -}}
{{- if not (kindIs "invalid" .Values.shard) -}}
{{- printf "%s-%d" $name (int .Values.shard) -}}
{{- else if .Values.shards -}}
{{- $leases := list -}}
{{- range until (int .Values.shards) }}{{ $leases = append $leases (printf "%s-%d" $name .) }}{{ end -}}
{{- join " " $leases -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end }}
