{{- define "archlab.opaPod" -}}
{{- $opa := .Values.policy.opa }}
serviceAccountName: workload
automountServiceAccountToken: false
{{- include "archlab.podSecurity" (dict "root" $ "priority" "platform") | nindent 0 }}
containers:
  - name: opa
    image: {{ $opa.image.repository }}:{{ $opa.image.tag }}
    imagePullPolicy: {{ $opa.image.pullPolicy }}
    # the registry checks the bundle's signature and puts its rules here; only the registry reaches this port
    args: [run, --server, --addr, "0.0.0.0:8181", --disable-telemetry, --log-level, error]
    ports: [{name: http, containerPort: 8181}]
    readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2}
    livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 10}
    resources: {{- toYaml $opa.resources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
{{- end }}

{{- define "archlab.prometheusPod" -}}
{{- $prometheus := .Values.monitoring.prometheus }}
serviceAccountName: workload
automountServiceAccountToken: false
{{- include "archlab.podSecurity" (dict "root" $ "priority" "platform") | nindent 0 }}
containers:
  - name: prometheus
    image: {{ $prometheus.image.repository }}:{{ $prometheus.image.tag }}
    imagePullPolicy: {{ $prometheus.image.pullPolicy }}
    args: [--config.file=/etc/prometheus/prometheus.yml, --storage.tsdb.path=/prometheus, --storage.tsdb.retention.time={{ $prometheus.retention }}]
    ports: [{name: http, containerPort: 9090}]
    readinessProbe: {httpGet: {path: /-/ready, port: http}, periodSeconds: 5}
    livenessProbe: {httpGet: {path: /-/healthy, port: http}, periodSeconds: 15}
    resources: {{- toYaml $prometheus.resources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      - {name: config, mountPath: /etc/prometheus, readOnly: true}
      - {name: data, mountPath: /prometheus}
      - {name: token, mountPath: /etc/archlab/token, readOnly: true}
volumes:
  - {name: config, configMap: {name: prometheus}}
  - {name: data, emptyDir: {}}
  {{- include "archlab.tokenVolume" $ | nindent 2 }}
{{- end }}
