{{- define "howdah.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of what belongs to the whole cluster: two releases in two namespaces must not share it. */}}
{{- define "howdah.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "howdah.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "howdah.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "howdah.name" .) }}
{{- end }}

{{- define "howdah.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* NetworkPolicies of the server groups admit the operator's pods by these. */}}
{{- define "howdah.selector" -}}
app.kubernetes.io/name: howdah
app.kubernetes.io/component: operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "howdah.labels" -}}
{{ include "howdah.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What the operator may do where the server groups are. */}}
{{- define "howdah.rules" -}}
- apiGroups: [howdah.dev]
  resources: [servergroups, servergroupoperations]
  verbs: [get, list, watch, patch, update]
- apiGroups: [howdah.dev]
  resources: [servergroupnodes]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [howdah.dev]
  resources: [servergroups/status, servergroupnodes/status, servergroupoperations/status]
  verbs: [get, patch, update]
# Owner references that block deletion need it where the API server enforces them.
- apiGroups: [howdah.dev]
  resources: [servergroups/finalizers, servergroupnodes/finalizers, servergroupoperations/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets, deployments]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [services, configmaps, secrets]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, update, delete]
# Pods are deleted to restart them one at a time.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
# Volumes grow, and go with their worker where the spec says so.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch, update, delete]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, watch, create, patch, update, delete]
{{- end }}
