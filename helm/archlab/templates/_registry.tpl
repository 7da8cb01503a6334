{{- define "archlab.registryPod" -}}
serviceAccountName: workload
automountServiceAccountToken: false
terminationGracePeriodSeconds: 30
{{- include "archlab.podSecurity" (dict "root" $ "priority" "platform") | nindent 0 }}
# jobs mount both volumes: what is stored is on one node
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "archlab.selector" (dict "root" $ "component" "control") | nindent 12 }}
initContainers:
  {{- include "archlab.sync" (dict "root" $ "image" "platform" "kind" "registry" "unit" "" "first" "policy/bundle.json") | nindent 2 }}
containers:
  - name: registry
    image: {{ include "archlab.image" (dict "root" $ "image" "platform") }}
    imagePullPolicy: {{ .Values.images.platform.pullPolicy }}
    command: [python, -m, uvicorn, "archlab.registry.app:app", --host, 0.0.0.0, --port, "5000"]
    args: [--loop, uvloop, --http, httptools, --no-access-log, --timeout-graceful-shutdown, "10", --timeout-keep-alive, "75"]
    env:
      - {name: ARCHLAB_LAB, value: {{ include "archlab.folder" $ }}}
      - {name: ARCHLAB_KEYS, value: /etc/archlab/keys}
      - {name: ARCHLAB_CONTROL_AT, value: "control:8000"}
      # only the gateway gets here; it has checked the token, and the name that it was asked by varies
      - {name: MLFLOW_SERVER_ALLOWED_HOSTS, value: "*"}
      - {name: HOME, value: /tmp}
      {{- with .Values.registry.database }}
      {{- if .secret }}
      - name: _MLFLOW_SERVER_FILE_STORE
        valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
      {{- end }}
      {{- end }}
      {{- with .Values.registry.artifacts }}
      {{- if .secret }}
      - {name: _MLFLOW_SERVER_ARTIFACT_DESTINATION, value: "s3://{{ .bucket }}/{{ .prefix | default $.Values.lab.name }}"}
      - {name: AWS_DEFAULT_REGION, value: {{ .region | quote }}}
      - name: AWS_ACCESS_KEY_ID
        valueFrom: {secretKeyRef: {name: {{ .secret }}, key: access-key-id}}
      - name: AWS_SECRET_ACCESS_KEY
        valueFrom: {secretKeyRef: {name: {{ .secret }}, key: secret-access-key}}
      {{- with .endpoint }}
      - {name: MLFLOW_S3_ENDPOINT_URL, value: {{ . | quote }}}
      {{- end }}
      # nobody but this pod has keys; checksums that not every compatible store knows only where they are asked for
      - {name: AWS_EC2_METADATA_DISABLED, value: "true"}
      - {name: AWS_REQUEST_CHECKSUM_CALCULATION, value: when_required}
      - {name: AWS_RESPONSE_CHECKSUM_VALIDATION, value: when_required}
      {{- end }}
      {{- end }}
      {{- if .Values.policy.opa.enabled }}
      - {name: ARCHLAB_OPA_URL, value: "http://opa:8181"}
      {{- end }}
    ports: [{name: http, containerPort: 5000}]
    startupProbe: {httpGet: {path: /mlflow/health, port: http}, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 180}
    readinessProbe: {httpGet: {path: /mlflow/health, port: http}, periodSeconds: 3, timeoutSeconds: 3}
    livenessProbe: {httpGet: {path: /mlflow/health, port: http}, periodSeconds: 20, timeoutSeconds: 15}
    resources: {{- toYaml .Values.registry.resources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      - {name: lab, mountPath: {{ include "archlab.folder" $ }}}
      - {name: state, mountPath: {{ include "archlab.folder" $ }}/registry}
      - {name: keys, mountPath: /etc/archlab/keys, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: lab, emptyDir: {}}
  - {name: state, persistentVolumeClaim: {claimName: registry}}
  - name: keys
    secret:
      secretName: {{ .Values.lab.keysSecret }}
      defaultMode: 0440
      items: [{key: jwt.pem, path: jwt.pem}, {key: jwks.json, path: jwks.json}, {key: release.pub.pem, path: release.pub.pem}, {key: trusted.pem, path: trusted.pem}]
  {{- include "archlab.tokenVolume" $ | nindent 2 }}
  - {name: tmp, emptyDir: {}}
{{- end }}
