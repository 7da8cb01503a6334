{{/* A peer: the pods of a unit of this lab; with `elsewhere` as a policy in a team's namespace names it. */}}
{{- define "archlab.from" -}}
{{- if .elsewhere -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Release.Namespace }}}}
podSelector: {matchLabels: {archlab.dev/lab: {{ .root.Values.lab.name }}, archlab.dev/unit: {{ .unit }}}}
{{- else -}}
podSelector: {matchLabels: {archlab.dev/lab: {{ .root.Values.lab.name }}, archlab.dev/unit: {{ .unit }}}}
{{- end }}
{{- end }}

{{/* Peers: every pod of the lab's namespace, and the lab's pods in those of its teams. */}}
{{- define "archlab.everybody" -}}
- podSelector: {}
{{- if .Values.teams }}
- namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values: [{{ range $at, $team := keys .Values.teams | sortAlpha }}{{ if $at }}, {{ end }}{{ $.Release.Namespace }}-{{ $team }}{{ end }}]
  podSelector: {matchLabels: {archlab.dev/lab: {{ .Values.lab.name }}}}
{{- end }}
{{- end }}

{{/* The head of a NetworkPolicy. */}}
{{- define "archlab.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "archlab.named" . | nindent 2 }}
  labels: {{- include "archlab.labels" (dict "root" .root "component" .name "team" .team) | nindent 4 }}
{{- end }}
