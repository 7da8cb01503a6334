{{/* What the admission policies share. */}}
{{- define "archlab-cluster.admission.spec" -}}
failurePolicy: Fail
matchConstraints:
  resourceRules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [CREATE, UPDATE]
      resources: [pods{{ if .ephemeral }}, pods/ephemeralcontainers{{ end }}]
    - apiGroups: [apps]
      apiVersions: [v1]
      operations: [CREATE, UPDATE]
      resources: [deployments, statefulsets, daemonsets, replicasets]
    - apiGroups: [batch]
      apiVersions: [v1]
      operations: [CREATE, UPDATE]
      resources: [jobs, cronjobs]
# What stood before the policy came may still be finished and deleted: only a change of the pods counts.
matchConditions:
  - name: changes-its-pods
    expression: >-
      request.operation == 'CREATE' || object.spec != oldObject.spec ||
      object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({})
variables:
  - name: subject
    expression: object.kind + ' ' + object.metadata.?name.orValue('')
  - name: template
    expression: >-
      object.kind == 'Pod' ? dyn(object) :
      object.kind == 'CronJob' ? dyn(object).spec.jobTemplate.spec.template : dyn(object).spec.template
  - name: containers
    expression: >-
      variables.template.spec.?initContainers.orValue([]) + variables.template.spec.containers
      {{- if .ephemeral }} + variables.template.spec.?ephemeralContainers.orValue([]){{ end }}
{{- end }}

{{/* Strings as a CEL list. */}}
{{- define "archlab-cluster.cel.list" -}}
[{{ range $index, $text := . }}{{ if $index }}, {{ end }}'{{ $text }}'{{ end }}]
{{- end }}
