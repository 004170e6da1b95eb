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
    {{- include "valetkey.range" (dict "root" $.root "cidr" .) | nindent 4 }}
    {{- end }}
  ports:
    - { protocol: TCP, port: {{ .target.port }} }
{{- end -}}

{{- /* A range without what is blocked in it; Kubernetes refuses an exception that does not lie in its range. */ -}}
{{- define "valetkey.range" -}}
{{- $cidr := .cidr -}}
{{- $except := list -}}
{{- range .root.Values.networkPolicy.blockedCidrs -}}
{{- if include "valetkey.liesIn" (dict "inner" $cidr "outer" .) -}}
{{- fail (printf "valetkey: %s lies in %s of networkPolicy.blockedCidrs; take that out if it may be reached" $cidr .) -}}
{{- end -}}
{{- if include "valetkey.liesIn" (dict "inner" . "outer" $cidr) }}{{ $except = append $except . }}{{ end -}}
{{- end -}}
- ipBlock:
    cidr: {{ $cidr | quote }}
    {{- with $except }}
    except: {{ toJson . }}
    {{- end }}
{{- end -}}

{{- /* "true" if every address of the inner range is in the outer one. */ -}}
{{- define "valetkey.liesIn" -}}
{{- $six := contains ":" .outer -}}
{{- $bits := int (last (splitList "/" .outer)) -}}
{{- if and (eq $six (contains ":" .inner)) (ge (int (last (splitList "/" .inner))) $bits) -}}
{{- $width := ternary 16 8 $six -}}
{{- $inner := include "valetkey.groups" .inner | fromJsonArray -}}
{{- $same := true -}}
{{- range $i, $group := include "valetkey.groups" .outer | fromJsonArray -}}
{{- /* 2 to the number of this group's bits that are behind the prefix. */ -}}
{{- $unit := 1 -}}
{{- range until (int (max 0 (min $width (sub (mul $width (add $i 1)) $bits)))) }}{{ $unit = mul $unit 2 }}{{ end -}}
{{- if ne (div (int64 $group) $unit) (div (int64 (index $inner $i)) $unit) }}{{ $same = false }}{{ end -}}
{{- end -}}
{{- if $same }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- /* The numbers of a range's address, as JSON: four of 8 bits, or eight of 16. */ -}}
{{- define "valetkey.groups" -}}
{{- $address := first (splitList "/" .) -}}
{{- $groups := list -}}
{{- if contains ":" $address -}}
{{- $halves := splitList "::" $address -}}
{{- $head := without (splitList ":" (first $halves)) "" -}}
{{- $tail := list -}}
{{- if gt (len $halves) 1 }}{{ $tail = without (splitList ":" (last $halves)) "" }}{{ end -}}
{{- range $head }}{{ $groups = append $groups (int64 (printf "0x%s" .)) }}{{ end -}}
{{- range until (int (sub (sub 8 (len $head)) (len $tail))) }}{{ $groups = append $groups 0 }}{{ end -}}
{{- range $tail }}{{ $groups = append $groups (int64 (printf "0x%s" .)) }}{{ end -}}
{{- else -}}
{{- range splitList "." $address }}{{ $groups = append $groups (int64 .) }}{{ end -}}
{{- end -}}
{{- toJson $groups -}}
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
    {{- if and (eq $role "gateway") $.Values.gateway.forward.enabled }}
    - { protocol: TCP, port: forward }
    {{- end }}
    {{- if and (eq $role "issuer") $.Values.issuer.mtls.enabled }}
    - { protocol: TCP, port: mtls }
    {{- end }}
{{- end }}
{{- with .Values.agents.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
