{{- define "archlab.controlPod" -}}
serviceAccountName: control
automountServiceAccountToken: true
terminationGracePeriodSeconds: 30
{{- include "archlab.podSecurity" (dict "root" $ "priority" "platform") | nindent 0 }}
initContainers:
  - name: files
    image: {{ include "archlab.image" (dict "root" $ "image" "platform") }}
    imagePullPolicy: {{ .Values.images.platform.pullPolicy }}
    command: [python, -m, archlab.control.initial, /etc/archlab/files]
    env: [{name: ARCHLAB_LAB, value: {{ include "archlab.folder" $ }}}]
    resources: {{- toYaml .Values.sidecar.resources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      - {name: home, mountPath: /var/lib/archlab}
      - {name: files, mountPath: /etc/archlab/files, readOnly: true}
containers:
  - name: control
    image: {{ include "archlab.image" (dict "root" $ "image" "platform") }}
    imagePullPolicy: {{ .Values.images.platform.pullPolicy }}
    command: [python, -m, uvicorn, "archlab.control.app:app", --host, 0.0.0.0, --port, "8000"]
    args: [--loop, uvloop, --http, httptools, --no-access-log, --timeout-graceful-shutdown, "5", --timeout-keep-alive, "75"]
    env:
      - {name: ARCHLAB_LAB, value: {{ include "archlab.folder" $ }}}
      - {name: ARCHLAB_KEYS, value: /etc/archlab/keys}
      - {name: ARCHLAB_REGISTRY_AT, value: "registry:5000"}
      - {name: ARCHLAB_REPLICAS_AT, value: "8080"}
    ports: [{name: http, containerPort: 8000}]
    startupProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1, failureThreshold: 120}
    readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 3, timeoutSeconds: 3}
    livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 15, timeoutSeconds: 10}
    resources: {{- toYaml .Values.control.resources | nindent 6 }}
    {{- include "archlab.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      - {name: home, mountPath: /var/lib/archlab}
      - {name: keys, mountPath: /etc/archlab/keys, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: home, persistentVolumeClaim: {claimName: control}}
  - {name: files, configMap: {name: lab-files}}
  # all but the key that models are signed with: control releases what others have signed
  - name: keys
    secret:
      secretName: {{ .Values.lab.keysSecret }}
      defaultMode: 0440
      items: [{key: jwt.pem, path: jwt.pem}, {key: jwks.json, path: jwks.json}, {key: release.pem, path: release.pem}, {key: release.pub.pem, path: release.pub.pem}, {key: trusted.pem, path: trusted.pem}]
  - {name: tmp, emptyDir: {}}
{{- end }}
