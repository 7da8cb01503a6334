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

{{/* How many pods a unit has. What a scaler wants stays: without the field an upgrade would bring it down to one. */}}
{{- define "archlab.replicas" -}}
{{- $scaling := .unit.autoscaling | default dict }}
{{- if $scaling.enabled }}
{{- $least := int ($scaling.minReplicas | default .unit.replicas) }}
{{- $found := lookup "apps/v1" "Deployment" .root.Release.Namespace .name }}
{{- $now := int (dig "spec" "replicas" $least $found) }}
{{- max $least (min $now (int $scaling.maxReplicas)) }}
{{- else }}
{{- .unit.replicas }}
{{- end }}
{{- end }}

{{/* Names of the units that control scales, separated by commas; empty for none. */}}
{{- define "archlab.scaledByControl" -}}
{{- $names := list }}
{{- range $name, $unit := .Values.units }}
{{- $scaling := $unit.autoscaling | default dict }}
{{- if and $scaling.enabled (eq ($scaling.by | default "hpa") "control") }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- join ", " $names }}
{{- end }}

{{/* Folder of the lab in every pod. */}}
{{- define "archlab.folder" -}}
/var/lib/archlab/{{ .Values.lab.name }}
{{- end }}

{{/* A native sidecar that keeps the pod's files what control publishes. Call with root, kind, unit, image, log. */}}
{{- define "archlab.sync" -}}
- name: sync
  image: {{ include "archlab.image" . }}
  imagePullPolicy: {{ (index .root.Values.images .image).pullPolicy }}
  restartPolicy: Always
  command: [python, -m, archlab_serving.sidecar]
  env:
    - {name: ARCHLAB_SYNC_CONTROL, value: "http://control:8000"}
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
