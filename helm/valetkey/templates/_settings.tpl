{{- /* The settings of one role. No secret is among them. */ -}}
{{- define "valetkey.settings" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $s := dict
  "spring.datasource.url" $v.database.url
  "valetkey.public-url" (include "valetkey.publicUrl" (dict "root" $root "role" "issuer"))
  "valetkey.gateway.public-url" (include "valetkey.publicUrl" (dict "root" $root "role" "gateway"))
  "valetkey.shutdown.delay" (printf "%vs" $v.shutdownDelaySeconds)
  "valetkey.gateway.drain" (printf "%vs" $v.gateway.drainSeconds)
  "spring.lifecycle.timeout-per-shutdown-phase" (printf "%ss" (include "valetkey.shutdownSeconds" $root))
-}}
{{- if or (ne $v.migrations.mode "start") (eq .role "gateway") -}}
{{- $_ := set $s "valetkey.migrations" "external" -}}
{{- end -}}
{{- with $v.gateway.privateOrigins -}}
{{- $_ := set $s "valetkey.gateway.private-origins" (join "," .) -}}
{{- end -}}
{{- with $v.gateway.hostSuffix -}}
{{- $_ := set $s "valetkey.gateway.host-suffix" . -}}
{{- end -}}
{{- if $v.gateway.trustedCertificates.existingConfigMap -}}
{{- $_ := set $s "valetkey.gateway.trusted-certificates" (printf "/run/valetkey/trusted-certificates/%s" $v.gateway.trustedCertificates.key) -}}
{{- end -}}
{{- if $v.issuer.mtls.enabled -}}
{{- $s = merge $s (include "valetkey.mtlsSettings" . | fromYaml) -}}
{{- end -}}
{{- if and (eq .role "gateway") $v.gateway.forward.enabled -}}
{{- $s = merge $s (include "valetkey.forwardSettings" $v.gateway.forward | fromYaml) -}}
{{- end -}}
{{- if and (eq .role "gateway") $v.fileSource.existingSecret -}}
{{- $_ := set $s "valetkey.file-source.directory" "/run/valetkey/credentials" -}}
{{- end -}}
{{- if and (eq .role "issuer") $v.audit.signingKey.existingSecret -}}
{{- $_ := set $s "valetkey.audit.signing-key" (printf "/run/valetkey/audit/%s" $v.audit.signingKey.key) -}}
{{- end -}}
{{- if include "valetkey.vaultLogin" . -}}
{{- $s = merge $s (include "valetkey.vaultSettings" (dict "vault" $v.vault "login" (index $v .role).vault) | fromYaml) -}}
{{- end -}}
{{- if include "valetkey.tlsSecret" . -}}
{{- $s = merge $s (include "valetkey.tlsSettings" . | fromYaml) -}}
{{- end -}}
{{- if and (eq .role "issuer") $v.policies -}}
{{- $_ := set $s "valetkey.policy.directory" "/run/valetkey/policies" -}}
{{- $_ := set $s "valetkey.policy.owner" $v.policyOwner -}}
{{- end -}}
{{- if eq .role "issuer" -}}
{{- $s = merge $s (include "valetkey.oidcSettings" $v | fromYaml) -}}
{{- end -}}
{{- range $name, $value := mergeOverwrite (deepCopy $v.settings) (index $v .role).settings -}}
{{- $_ := set $s $name (toString $value) -}}
{{- end -}}
{{- toYaml $s -}}
{{- end -}}

{{- /* Not empty if the role logs in at Vault. No login is shared: an issuer needs no credential of a destination. */ -}}
{{- define "valetkey.vaultLogin" -}}
{{- $vault := .root.Values.vault -}}
{{- $login := (index .root.Values .role).vault -}}
{{- if $vault.uri -}}
{{- get (dict "kubernetes" $login.role "approle" $login.roleId "token" $login.existingSecret) $vault.authentication -}}
{{- end -}}
{{- end -}}

{{- define "valetkey.vaultSettings" -}}
valetkey.vault.uri: {{ .vault.uri | quote }}
valetkey.vault.authentication: {{ .vault.authentication }}
{{- if .vault.namespace }}
valetkey.vault.namespace: {{ .vault.namespace | quote }}
{{- end }}
{{- if .vault.mount }}
valetkey.vault.mount: {{ .vault.mount | quote }}
{{- end }}
{{- if .vault.caCertificate.existingConfigMap }}
valetkey.vault.ca-certificate: /run/valetkey/vault-ca/{{ .vault.caCertificate.key }}
{{- end }}
{{- if eq .vault.authentication "kubernetes" }}
valetkey.vault.role: {{ .login.role | quote }}
valetkey.vault.jwt-file: /run/valetkey/vault/token
{{- else if eq .vault.authentication "approle" }}
valetkey.vault.role-id: {{ .login.roleId | quote }}
{{- if .login.existingSecret }}
valetkey.vault.secret-id-file: /run/valetkey/vault/secret-id
{{- end }}
{{- else }}
valetkey.vault.token-file: /run/valetkey/vault/token
{{- end }}
{{- end -}}

{{- /* A certificate that is renewed is taken without a restart. */ -}}
{{- define "valetkey.tlsSettings" -}}
{{- $bundle := printf "spring.ssl.bundle.pem.%s" .role -}}
{{ $bundle }}.keystore.certificate: /run/valetkey/tls/tls.crt
{{ $bundle }}.keystore.private-key: /run/valetkey/tls/tls.key
{{ $bundle }}.reload-on-update: "true"
{{ ternary "server.ssl.bundle" "valetkey.gateway.ssl-bundle" (eq .role "issuer") }}: {{ .role }}
{{- if eq .role "issuer" }}
# Otherwise the management port would have the certificate of the API too, and probes speak plain HTTP.
management.server.ssl.enabled: "false"
{{- end }}
{{- end -}}

{{- /* Tokens are bound to certificates: the one role asks for them to issue, the other to accept. */ -}}
{{- define "valetkey.mtlsSettings" -}}
{{- if not (include "valetkey.tlsSecret" .) -}}
{{- fail (printf "valetkey: issuer.mtls.enabled needs a certificate of the %s by tls.%s.existingSecret or tls.certManager" .role .role) -}}
{{- end -}}
{{- $mtls := .root.Values.issuer.mtls -}}
{{- if eq .role "issuer" -}}
valetkey.mtls.port: "8443"
valetkey.mtls.public-url: {{ default (printf "https://%s-issuer.%s.svc:%v" (include "valetkey.fullname" .root) .root.Release.Namespace $mtls.port) $mtls.publicUrl | quote }}
valetkey.mtls.ssl-bundle: issuer
{{- else -}}
valetkey.gateway.client-certificates: "true"
{{- end -}}
{{- end -}}

{{- /* The authority comes as a kubernetes.io/tls Secret: tls.crt is the chain from the intermediate up to the root. */ -}}
{{- define "valetkey.forwardSettings" -}}
valetkey.gateway.forward.port: "8092"
{{- with .authority }}
{{- if .vaultPki }}
valetkey.gateway.forward.ca-vault-pki: {{ .vaultPki | quote }}
{{- if .domains }}
valetkey.gateway.forward.ca-domains: {{ join "," .domains | quote }}
{{- end }}
{{- else }}
valetkey.gateway.forward.ca-bundle: interception
spring.ssl.bundle.pem.interception.keystore.certificate: /run/valetkey/interception/tls.crt
spring.ssl.bundle.pem.interception.keystore.private-key: /run/valetkey/interception/tls.key
spring.ssl.bundle.pem.interception.reload-on-update: "true"
{{- end }}
{{- end }}
{{- end -}}

{{- /* How long one phase of the shutdown may take: longer than the drain. */ -}}
{{- define "valetkey.shutdownSeconds" -}}
{{- max 30 (add (int .Values.gateway.drainSeconds) 5) -}}
{{- end -}}

{{- /* The provider that knows the admins, and the console as its client. */ -}}
{{- define "valetkey.oidcSettings" -}}
{{- $s := dict -}}
{{- $admin := .admin.oidc -}}
{{- range $name, $value := dict "issuer" $admin.issuer "audience" $admin.audience "roles-claim" $admin.rolesClaim "role-mapping" (join "," $admin.roleMapping) "jwks-uri" $admin.jwksUri -}}
{{- if $value -}}
{{- $_ := set $s (printf "valetkey.admin.oidc.%s" $name) $value -}}
{{- end -}}
{{- end -}}
{{- $console := .console.oidc -}}
{{- range $name, $value := dict "client-id" $console.clientId "name" $console.name "scopes" (join "," $console.scopes) -}}
{{- if $value -}}
{{- $_ := set $s (printf "valetkey.console.oidc.%s" $name) $value -}}
{{- end -}}
{{- end -}}
{{- with $console.clientSecret -}}
{{- if .existingSecret -}}
{{- $_ := set $s "valetkey.console.oidc.client-secret-file" (printf "/run/valetkey/console/%s" .key) -}}
{{- end -}}
{{- end -}}
{{- toYaml $s -}}
{{- end -}}
