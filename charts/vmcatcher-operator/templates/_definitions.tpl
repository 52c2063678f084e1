{{/*
The other release that owns a definition, as namespace/name: it upgrades the definition. Empty if no release does, or this
one. Without a cluster (helm template) it is empty.
*/}}
{{- define "vmcatcher.elsewhere" -}}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name -}}
{{- $annotations := dig "metadata" "annotations" dict $found -}}
{{- $name := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if and $name (or (ne $name .release.Name) (ne $namespace .release.Namespace)) }}{{ $namespace }}/{{ $name }}{{ end -}}
{{- end }}

{{/*
Removes the validation rules from a definition. API servers before 1.25 do not know them, and Helm refuses a field that the
API server does not describe.
*/}}
{{- define "vmcatcher.withoutRules" -}}
{{- if kindIs "map" . -}}
{{- $_ := unset . "x-kubernetes-validations" -}}
{{- range $key, $value := . }}{{ include "vmcatcher.withoutRules" $value }}{{ end -}}
{{- else if kindIs "slice" . -}}
{{- range . }}{{ include "vmcatcher.withoutRules" . }}{{ end -}}
{{- end -}}
{{- end }}
