{{/* Call with root, name, unit. */}}
{{- define "archlab.serverPod" -}}
{{- $bento := eq .unit.runtime "bento" }}
{{- $image := ternary "platform" "serving" $bento }}
{{- $folder := include "archlab.folder" .root }}
serviceAccountName: workload
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ .root.Values.servers.terminationGracePeriodSeconds }}
{{- include "archlab.podSecurity" (dict "root" .root "priority" "serving") | nindent 0 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "archlab.selector" (dict "root" .root "component" .name) | nindent 8 }}
initContainers:
  {{- include "archlab.sync" (dict "root" .root "image" $image "kind" "server" "unit" .name "first" "releases/feed.json" "home" (include "archlab.home" (dict "root" .root "team" .unit.team)) "log" (printf "%s/predictions.jsonl" $folder)) | nindent 2 }}
containers:
  - name: server
    image: {{ include "archlab.image" (dict "root" .root "image" $image) }}
    imagePullPolicy: {{ (index .root.Values.images $image).pullPolicy }}
    {{- if $bento }}
    command: [sh, -c, 'ARCHLAB_SERVING_BENTO="$(cat /opt/archlab/bento.tag)" exec python -m uvicorn archlab_serving.bento:app "$@"', server]
    {{- else }}
    command: [python, -m, uvicorn, "archlab_serving.app:app"]
    {{- end }}
    args: [--host, 0.0.0.0, --port, "8080", --loop, uvloop, --http, {{ if $bento }}httptools{{ else }}"archlab_serving.http_protocol:Protocol"{{ end }}, --no-access-log, --timeout-graceful-shutdown, "10", --timeout-keep-alive, "75"]
    env:
      - {name: ARCHLAB_SERVING_UNIT, value: {{ .name }}}
      - {name: ARCHLAB_SERVING_POOL, value: {{ .unit.pool | default .name }}}
      - {name: ARCHLAB_SERVING_FEED, value: {{ $folder }}/releases/feed.json}
      - {name: ARCHLAB_SERVING_SNAPSHOTS, value: {{ $folder }}/snapshots/current.json}
      - {name: ARCHLAB_SERVING_PUBLIC_KEY, value: /etc/archlab/keys/release.pub.pem}
      - {name: ARCHLAB_SERVING_TRUSTED_KEYS, value: /etc/archlab/keys/trusted.pem}
      - {name: ARCHLAB_SERVING_PREDICTION_LOG, value: {{ $folder }}/predictions.jsonl}
      - {name: ARCHLAB_SERVING_GRPC, value: "0.0.0.0:8081"}
      - {name: ARCHLAB_SERVING_THREADS, value: "1"}
      - {name: ARCHLAB_SERVING_CATCH_UP_S, value: {{ .root.Values.servers.catchUpSeconds | quote }}}
      - name: ARCHLAB_SERVING_REPLICA
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
      {{- if .unit.devices }}
      - {name: ARCHLAB_SERVING_DEVICES, value: {{ $folder }}/devices.json}
      {{- end }}
      {{- if $bento }}
      - {name: HOME, value: /tmp}
      {{- end }}
    ports:
      - {name: http, containerPort: 8080}
      - {name: grpc, containerPort: 8081}
    startupProbe: {httpGet: {path: /v2/health/ready, port: http}, periodSeconds: 1, failureThreshold: 120}
    readinessProbe: {httpGet: {path: /v2/health/ready, port: http}, periodSeconds: 2, timeoutSeconds: 2}
    livenessProbe: {httpGet: {path: /v2/health/live, port: http}, periodSeconds: 10, timeoutSeconds: 5}
    lifecycle: {preStop: {sleep: {seconds: {{ .root.Values.servers.preStopSeconds }}}}}
    {{- $resources := deepCopy (.unit.resources | default (ternary .root.Values.servers.bentoResources .root.Values.servers.resources $bento)) }}
    {{- with .unit.devices }}
    {{- $_ := set $resources "limits" (merge (deepCopy .) ($resources.limits | default dict)) }}
    {{- end }}
    resources: {{- toYaml $resources | nindent 6 }}
    {{- include "archlab.containerSecurity" . | nindent 4 }}
    volumeMounts:
      - {name: lab, mountPath: {{ $folder }}}
      - {name: public-key, mountPath: /etc/archlab/keys, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: lab, emptyDir: {}}
  - name: public-key
    secret: {secretName: {{ .root.Values.lab.keysSecret }}, defaultMode: 0440, items: [{key: release.pub.pem, path: release.pub.pem}, {key: trusted.pem, path: trusted.pem}]}
  {{- include "archlab.tokenVolume" .root | nindent 2 }}
  - {name: tmp, emptyDir: {}}
{{- end }}
