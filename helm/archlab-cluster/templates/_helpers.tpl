{{/* Names, labels and the image, the same in every template. */}}
{{- define "archlab-cluster.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end }}

{{- define "archlab-cluster.devicePlugin" -}}
{{ include "archlab-cluster.name" . }}-device-plugin
{{- end }}

{{- define "archlab-cluster.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: archlab
{{- end }}

{{- define "archlab-cluster.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: device-plugin
{{- end }}

{{- define "archlab-cluster.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* What the device plugin reads: archlab/device-plugin/v1. */}}
{{- define "archlab-cluster.devices" -}}
{{ dict "format" "archlab/device-plugin/v1" "devices" .Values.devicePlugin.devices | toPrettyJson }}
{{- end }}

{{/* The resources that the values declare, as a JSON list. */}}
{{- define "archlab-cluster.resources" -}}
{{- $found := list -}}
{{- range .Values.devicePlugin.devices -}}
{{- if .slices -}}
{{- range .slices -}}{{- $found = append $found (printf "nvidia.com/mig-%s" .profile) -}}{{- end -}}
{{- else -}}{{- $found = append $found "nvidia.com/gpu" -}}{{- end -}}
{{- end -}}
{{ $found | uniq | toJson }}
{{- end }}

{{/* The allowed images as they are written in short, as a JSON list. */}}
{{- define "archlab-cluster.allowed" -}}
{{- $found := list -}}
{{- range .Values.admission.allowedImages -}}
{{- $found = append $found (. | trimPrefix "docker.io/" | trimPrefix "library/") -}}
{{- end -}}
{{ $found | toJson }}
{{- end }}
