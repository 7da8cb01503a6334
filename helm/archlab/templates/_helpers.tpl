{{/* Labels of everything. Call with (dict "root" $ "component" NAME "team" TEAM). */}}
{{- define "archlab.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/name: archlab
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: archlab
{{ include "archlab.selector" . }}
archlab.dev/team: {{ .team | default "platform" }}
{{- end }}

{{/* What selects the pods of a component. */}}
{{- define "archlab.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
archlab.dev/lab: {{ .root.Values.lab.name }}
archlab.dev/unit: {{ .component }}
{{- end }}

{{- define "archlab.image" -}}
{{- $image := index .root.Values.images .image -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Pod security of the restricted profile; the images' user. */}}
{{- define "archlab.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with index .root.Values.priorityClasses .priority }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "archlab.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Namespace of what a team has to itself; empty for what is in the lab's. Call with root and team. */}}
{{- define "archlab.home" -}}
{{- if hasKey .root.Values.teams (.team | default "platform") }}{{ .root.Release.Namespace }}-{{ .team }}{{ end }}
{{- end }}

{{/* Name and, in a team's, namespace of an object. Call with root, name and team. */}}
{{- define "archlab.named" -}}
name: {{ .name }}
{{- with include "archlab.home" . }}
namespace: {{ . }}
{{- end }}
{{- end }}

{{/* How many pods a unit has. What a scaler wants stays: without the field an upgrade would bring it down to one. */}}
{{- define "archlab.replicas" -}}
{{- $scaling := .unit.autoscaling | default dict }}
{{- if $scaling.enabled }}
{{- $least := int ($scaling.minReplicas | default .unit.replicas) }}
{{- $home := include "archlab.home" (dict "root" .root "team" .unit.team) | default .root.Release.Namespace }}
{{- $found := lookup "apps/v1" "Deployment" $home .name }}
{{- $now := int (dig "spec" "replicas" $least $found) }}
{{- max $least (min $now (int $scaling.maxReplicas)) }}
{{- else }}
{{- .unit.replicas }}
{{- end }}
{{- end }}

{{/* Names of the units in a namespace that control scales, separated by commas; empty for none. Call with root and home. */}}
{{- define "archlab.scaledByControl" -}}
{{- $names := list }}
{{- range $name, $unit := .root.Values.units }}
{{- $scaling := $unit.autoscaling | default dict }}
{{- $here := eq $.home (include "archlab.home" (dict "root" $.root "team" $unit.team)) }}
{{- if and $here $scaling.enabled (eq ($scaling.by | default "hpa") "control") }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- join ", " $names }}
{{- end }}

{{/* Folder of the lab in every pod. */}}
{{- define "archlab.folder" -}}
/var/lib/archlab/{{ .Values.lab.name }}
{{- end }}

{{/* A native sidecar that keeps the pod's files what control publishes. Call with root, kind, unit, image, log, home. */}}
{{- define "archlab.sync" -}}
- name: sync
  image: {{ include "archlab.image" . }}
  imagePullPolicy: {{ (index .root.Values.images .image).pullPolicy }}
  restartPolicy: Always
  command: [python, -m, archlab_serving.sidecar]
  env:
    - {name: ARCHLAB_SYNC_CONTROL, value: "http://control{{ if .home }}.{{ .root.Release.Namespace }}{{ end }}:8000"}
    - {name: ARCHLAB_SYNC_TOKEN, value: /etc/archlab/token/replica.token}
    - {name: ARCHLAB_SYNC_KIND, value: {{ .kind }}}
    - {name: ARCHLAB_SYNC_UNIT, value: {{ .unit | quote }}}
    - {name: ARCHLAB_SYNC_FOLDER, value: {{ include "archlab.folder" .root }}}
    - name: ARCHLAB_SYNC_REPLICA
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    {{- with .log }}
    - {name: ARCHLAB_SYNC_LOG, value: {{ . }}}
    {{- end }}
  startupProbe:
    exec: {command: [test, -e, {{ include "archlab.folder" .root }}/{{ .first }}]}
    periodSeconds: 1
    failureThreshold: 180
  resources: {{- toYaml .root.Values.sidecar.resources | nindent 4 }}
  {{- include "archlab.containerSecurity" . | nindent 2 }}
  volumeMounts:
    - {name: lab, mountPath: {{ include "archlab.folder" .root }}}
    - {name: token, mountPath: /etc/archlab/token, readOnly: true}
{{- end }}

{{/* The pods' token out of the lab's keys. */}}
{{- define "archlab.tokenVolume" -}}
- name: token
  secret:
    secretName: {{ .Values.lab.keysSecret }}
    defaultMode: 0440
    items: [{key: replica.token, path: replica.token}]
{{- end }}
