{{- define "archlab.gatewayPod" -}}
serviceAccountName: gateway
automountServiceAccountToken: true
terminationGracePeriodSeconds: 30
{{- include "archlab.podSecurity" (dict "root" $ "priority" "platform") | nindent 0 }}
initContainers:
  - name: agent
    image: {{ include "archlab.image" (dict "root" $ "image" "platform") }}
    imagePullPolicy: {{ .Values.images.platform.pullPolicy }}
    restartPolicy: Always
    command: [python, -m, archlab.gateway.agent]
    env:
      - {name: ARCHLAB_LAB, value: {{ include "archlab.folder" $ }}}
      - {name: ARCHLAB_KEYS, value: /etc/archlab/keys}
      - {name: TMPDIR, value: /run/archlab}
      - {name: ARCHLAB_SYNC_CONTROL, value: "http://control:8000"}
      - {name: ARCHLAB_SYNC_TOKEN, value: /etc/archlab/keys/replica.token}
      - {name: ARCHLAB_SYNC_KIND, value: gateway}
      - {name: ARCHLAB_SYNC_FOLDER, value: {{ include "archlab.folder" $ }}}
      - name: ARCHLAB_SYNC_REPLICA
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
    startupProbe:
      exec: {command: [test, -e, {{ include "archlab.folder" $ }}/conf/envoy/bootstrap.json]}
      periodSeconds: 1
      failureThreshold: 180
    resources: {{- toYaml .Values.gateway.agentResources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      - {name: lab, mountPath: {{ include "archlab.folder" $ }}}
      - {name: run, mountPath: /run/archlab}
      - {name: keys, mountPath: /etc/archlab/keys, readOnly: true}
containers:
  - name: gateway
    image: {{ include "archlab.image" (dict "root" $ "image" "platform") }}
    imagePullPolicy: {{ .Values.images.platform.pullPolicy }}
    command: [envoy, -c, {{ include "archlab.folder" $ }}/conf/envoy/bootstrap.json]
    args: [--concurrency, "1", --disable-hot-restart, --file-flush-interval-msec, "1000", -l, warning]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {tcpSocket: {port: http}, periodSeconds: 2}
    livenessProbe: {tcpSocket: {port: http}, periodSeconds: 10, initialDelaySeconds: 30}
    lifecycle: {preStop: {sleep: {seconds: {{ .Values.servers.preStopSeconds }}}}}
    resources: {{- toYaml .Values.gateway.resources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      - {name: lab, mountPath: {{ include "archlab.folder" $ }}}
      - {name: run, mountPath: /run/archlab}
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: lab, emptyDir: {}}
  - {name: run, emptyDir: {medium: Memory, sizeLimit: 8Mi}}
  - {name: tmp, emptyDir: {}}
  - name: keys
    secret: {secretName: {{ .Values.lab.keysSecret }}, defaultMode: 0440, items: [{key: replica.token, path: replica.token}, {key: jwks.json, path: jwks.json}]}
{{- end }}
