{{/* Labels of everything. Call with (dict "root" $ "component" NAME). */}}
{{- define "archlab-drill.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: archlab
{{ include "archlab-drill.selector" . }}
{{- end }}

{{/* What selects the pods of a component. */}}
{{- define "archlab-drill.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of pods; somebody pays for them where a policy asks who. */}}
{{- define "archlab-drill.podLabels" -}}
{{ include "archlab-drill.labels" . }}
archlab.dev/team: platform
{{- end }}

{{- define "archlab-drill.image" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* Pod security of the restricted profile; the image's user. Nothing here asks the Kubernetes API. */}}
{{- define "archlab-drill.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "archlab-drill.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* What the other region is called. Call with region. */}}
{{- define "archlab-drill.other" -}}
{{- if eq .region "east" }}west{{ else }}east{{ end }}
{{- end }}

{{/* A peer: the pods of a component in a namespace. Call with root, namespace and component. */}}
{{- define "archlab-drill.peer" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}}
podSelector: {matchLabels: {app.kubernetes.io/instance: {{ .root.Release.Name }}, app.kubernetes.io/component: {{ .component }}}}
{{- end }}
