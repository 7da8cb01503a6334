{{/* A peer: the pods of a unit of this lab. */}}
{{- define "archlab.from" -}}
podSelector: {matchLabels: {archlab.dev/lab: {{ .root.Values.lab.name }}, archlab.dev/unit: {{ .unit }}}}
{{- end }}

{{/* The head of a NetworkPolicy. */}}
{{- define "archlab.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  labels: {{- include "archlab.labels" (dict "root" .root "component" .name) | nindent 4 }}
{{- end }}
