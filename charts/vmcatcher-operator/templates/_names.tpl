{{- define "vmcatcher.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "vmcatcher.account" -}}
{{- .Values.serviceAccount.name | default (include "vmcatcher.name" .) -}}
{{- end }}

{{- define "vmcatcher.claim" -}}
{{- .Values.volume.existingClaim | default (printf "%s-images" (include "vmcatcher.name" .)) -}}
{{- end }}

{{- define "vmcatcher.selector" -}}
app.kubernetes.io/name: vmcatcher-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vmcatcher.labels" -}}
{{ include "vmcatcher.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What the program asks of the API server, and nothing more. */}}
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
# Some clusters ask for this of whoever makes an object that holds up its owner's deletion.
- apiGroups: [vmcatcher.io]
  resources: [imagelistsubscriptions/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# What resources name: credentials, certificates, trust anchors. Where namespaces are named a change of one is seen at once;
# nobody should let a program list the Secrets of a whole cluster.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: {{ if .Values.namespaces }}[get, list, watch]{{ else }}[get]{{ end }}
{{- end }}
