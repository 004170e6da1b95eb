{{- define "valetkey.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "valetkey.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "valetkey.labels" -}}
{{ include "valetkey.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: valetkey
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "valetkey.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- /* The Secret with a role's certificate, or nothing if it serves plain HTTP. */ -}}
{{- define "valetkey.tlsSecret" -}}
{{- $given := (index .root.Values.tls .role).existingSecret -}}
{{- if $given -}}
{{ $given }}
{{- else if .root.Values.tls.certManager.enabled -}}
{{ include "valetkey.fullname" .root }}-{{ .role }}-tls
{{- end -}}
{{- end -}}

{{- /* The address of a role's Service inside of the cluster. */ -}}
{{- define "valetkey.clusterUrl" -}}
{{- printf "https://%s-%s.%s.svc:%v" (include "valetkey.fullname" .root) .role .root.Release.Namespace (index .root.Values .role).service.port -}}
{{- end -}}

{{- define "valetkey.publicUrl" -}}
{{- $given := ternary .root.Values.publicUrl .root.Values.gateway.publicUrl (eq .role "issuer") -}}
{{- if $given -}}
{{ $given }}
{{- else if include "valetkey.tlsSecret" . -}}
{{ include "valetkey.clusterUrl" . }}
{{- else -}}
{{- fail (printf "valetkey: set %s, the https address under which the %s is known, or give it a certificate by tls.%s.existingSecret or tls.certManager" (ternary "publicUrl" "gateway.publicUrl" (eq .role "issuer")) .role .role) -}}
{{- end -}}
{{- end -}}
