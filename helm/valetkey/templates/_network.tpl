{{- define "valetkey.egressDns" -}}
{{- $dns := .Values.networkPolicy.dns -}}
- to:
    - namespaceSelector:
        matchLabels: { kubernetes.io/metadata.name: {{ $dns.namespace }} }
      podSelector:
        matchLabels:
          {{- toYaml $dns.podSelector | nindent 10 }}
    {{- range $dns.cidrs }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
  ports:
    {{- range $dns.ports }}
    - { protocol: UDP, port: {{ . }} }
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end -}}

{{- /* Named ranges, or the private ones. */ -}}
{{- define "valetkey.egressTo" -}}
- to:
    {{- range default .root.Values.networkPolicy.privateCidrs .target.cidrs }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
  ports:
    - { protocol: TCP, port: {{ .target.port }} }
{{- end -}}

{{- /* Every address but the given ranges; an ipBlock excepts only ranges of its own family. */ -}}
{{- define "valetkey.anywhereBut" -}}
{{- $four := list -}}
{{- $six := list -}}
{{- range . -}}
{{- if contains ":" . }}{{ $six = append $six . }}{{ else }}{{ $four = append $four . }}{{ end -}}
{{- end -}}
- ipBlock:
    cidr: 0.0.0.0/0
    {{- with $four }}
    except: {{ toJson . }}
    {{- end }}
- ipBlock:
    cidr: ::/0
    {{- with $six }}
    except: {{ toJson . }}
    {{- end }}
{{- end -}}

{{- /* Labels of agents: all pods of the namespaces, or those with the labels. */ -}}
{{- define "valetkey.agentSelector" -}}
{{- if .Values.agents.allPods -}}
{}
{{- else -}}
{{- if not .Values.agents.podSelector -}}
{{- fail "valetkey: agents.podSelector is empty; say agents.allPods: true if every pod of agents.namespaces is an agent" -}}
{{- end -}}
{{ toJson (dict "matchLabels" .Values.agents.podSelector) }}
{{- end -}}
{{- end -}}

{{- /* Where an agent may go. */ -}}
{{- define "valetkey.agentEgress" -}}
{{ include "valetkey.egressDns" . }}
{{- range $role := list "issuer" "gateway" }}
- to:
    - namespaceSelector:
        matchLabels: { kubernetes.io/metadata.name: {{ $.Release.Namespace }} }
      podSelector:
        matchLabels:
          {{- include "valetkey.selector" (dict "root" $ "component" $role) | nindent 10 }}
  ports:
    - { protocol: TCP, port: {{ ternary "api" "gateway" (eq $role "issuer") }} }
{{- end }}
{{- with .Values.agents.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
