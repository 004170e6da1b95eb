{{- /* What every container of this chart may do: nothing that it does not need. */ -}}
{{- define "valetkey.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "valetkey.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* A secret as files whose names are settings; Spring reads the folder as a config tree. */ -}}
{{- define "valetkey.loginFiles" -}}
- secret:
    name: {{ .login.existingSecret }}
    items:
      - { key: {{ .login.usernameKey | quote }}, path: {{ .user }} }
      - { key: {{ .login.passwordKey | quote }}, path: {{ .password }} }
{{- end -}}

{{- define "valetkey.secretFiles" -}}
{{- $v := .root.Values -}}
{{ include "valetkey.loginFiles" (dict "login" $v.database "user" "spring.datasource.username" "password" "spring.datasource.password") }}
{{- if and (eq .role "issuer") (eq $v.migrations.mode "start") $v.migrations.existingSecret }}
{{ include "valetkey.loginFiles" (dict "login" $v.migrations "user" "spring.flyway.user" "password" "spring.flyway.password") }}
{{- end }}
{{- if and (eq .role "issuer") $v.admin.bootstrapToken.existingSecret }}
- secret:
    name: {{ $v.admin.bootstrapToken.existingSecret }}
    items:
      - { key: {{ $v.admin.bootstrapToken.key | quote }}, path: valetkey.admin.bootstrap-token }
{{- end }}
{{- range concat $v.secretSettings (index $v .role).secretSettings }}
- secret:
    name: {{ .existingSecret }}
    items:
      - { key: {{ .key | quote }}, path: {{ .setting }} }
{{- end }}
{{- end -}}

{{- define "valetkey.deployment" -}}
{{- $role := .role -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $spec := index $v $role -}}
{{- $name := printf "%s-%s" (include "valetkey.fullname" $root) $role -}}
{{- $tls := include "valetkey.tlsSecret" . -}}
{{- $vault := include "valetkey.vaultLogin" . -}}
{{- $port := ternary 8080 8090 (eq $role "issuer") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "valetkey.labels" (dict "root" $root "component" $role) | nindent 4 }}
spec:
  {{- if not $spec.autoscaling.enabled }}
  replicas: {{ $spec.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- include "valetkey.selector" (dict "root" $root "component" $role) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "valetkey.labels" (dict "root" $root "component" $role) | nindent 8 }}
        {{- with $spec.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # A changed setting starts new pods; policies are followed without one.
        valetkey.io/settings: {{ include "valetkey.settings" . | sha256sum }}
        {{- with $spec.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: false
      # The variables that Kubernetes makes of Services would be unknown settings of ours.
      enableServiceLinks: false
      # The delay, then the longest phase of the shutdown, then what remains to be written.
      terminationGracePeriodSeconds: {{ add (int $v.shutdownDelaySeconds) (include "valetkey.shutdownSeconds" $root) 15 }}
      securityContext:
        {{- include "valetkey.podSecurity" $root | nindent 8 }}
      {{- with $v.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with $spec.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $spec.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $spec.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $spec.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "valetkey.selector" (dict "root" $root "component" $role) | nindent 14 }}
        {{- end }}
      containers:
        - name: {{ $role }}
          image: {{ include "valetkey.image" $root }}
          imagePullPolicy: {{ $v.image.pullPolicy }}
          securityContext:
            {{- include "valetkey.containerSecurity" $root | nindent 12 }}
          env:
            - { name: VALETKEY_ROLES, value: {{ $role }} }
            - { name: SPRING_CONFIG_ADDITIONAL_LOCATION, value: "file:/etc/valetkey/" }
            - { name: SPRING_CONFIG_IMPORT, value: "configtree:/run/secrets/valetkey/" }
          ports:
            - { name: {{ ternary "api" "gateway" (eq $role "issuer") }}, containerPort: {{ $port }} }
            - { name: management, containerPort: 9090 }
            {{- if and (eq $role "gateway") $v.gateway.forward.enabled }}
            - { name: forward, containerPort: 8092 }
            {{- end }}
            {{- if and (eq $role "issuer") $v.issuer.mtls.enabled }}
            - { name: mtls, containerPort: 8443 }
            {{- end }}
          startupProbe:
            httpGet: { path: /actuator/health/startup, port: management }
            periodSeconds: 2
            failureThreshold: 90
          livenessProbe:
            httpGet: { path: /actuator/health/liveness, port: management }
            periodSeconds: 10
            timeoutSeconds: 3
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /actuator/health/readiness, port: management }
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          {{- with $spec.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
            - { name: settings, mountPath: /etc/valetkey, readOnly: true }
            - { name: secrets, mountPath: /run/secrets/valetkey, readOnly: true }
            {{- if $tls }}
            - { name: tls, mountPath: /run/valetkey/tls, readOnly: true }
            {{- end }}
            {{- if and $vault (eq $v.vault.authentication "kubernetes") }}
            - { name: vault-identity, mountPath: /run/valetkey/vault, readOnly: true }
            {{- else if and $vault $spec.vault.existingSecret }}
            - { name: vault-login, mountPath: /run/valetkey/vault, readOnly: true }
            {{- end }}
            {{- if and $vault $v.vault.caCertificate.existingConfigMap }}
            - { name: vault-ca, mountPath: /run/valetkey/vault-ca, readOnly: true }
            {{- end }}
            {{- if and (eq $role "gateway") $v.fileSource.existingSecret }}
            - { name: credentials, mountPath: /run/valetkey/credentials, readOnly: true }
            {{- end }}
            {{- if and (eq $role "gateway") $v.gateway.forward.enabled (not $v.gateway.forward.authority.vaultPki) }}
            - { name: interception, mountPath: /run/valetkey/interception, readOnly: true }
            {{- end }}
            {{- if $v.gateway.trustedCertificates.existingConfigMap }}
            - { name: trusted-certificates, mountPath: /run/valetkey/trusted-certificates, readOnly: true }
            {{- end }}
            {{- if eq $role "issuer" }}
            {{- if $v.audit.signingKey.existingSecret }}
            - { name: audit-key, mountPath: /run/valetkey/audit, readOnly: true }
            {{- end }}
            {{- if $v.console.oidc.clientSecret.existingSecret }}
            - { name: console-client, mountPath: /run/valetkey/console, readOnly: true }
            {{- end }}
            {{- if $v.policies }}
            - { name: policies, mountPath: /run/valetkey/policies, readOnly: true }
            {{- end }}
            {{- if $v.issuer.tokenReview }}
            - { name: kubernetes, mountPath: /run/secrets/kubernetes.io/serviceaccount, readOnly: true }
            {{- end }}
            {{- end }}
            {{- with concat $v.volumeMounts $spec.volumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: { sizeLimit: 256Mi }
        - name: settings
          configMap: { name: {{ $name }} }
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              {{- include "valetkey.secretFiles" . | nindent 14 }}
        {{- if $tls }}
        - name: tls
          secret: { secretName: {{ $tls }}, defaultMode: 0440 }
        {{- end }}
        {{- if and $vault (eq $v.vault.authentication "kubernetes") }}
        - name: vault-identity
          projected:
            defaultMode: 0440
            sources:
              - serviceAccountToken: { audience: {{ $v.vault.audience | quote }}, expirationSeconds: 3600, path: token }
        {{- else if and $vault $spec.vault.existingSecret }}
        - name: vault-login
          secret: { secretName: {{ $spec.vault.existingSecret }}, defaultMode: 0440 }
        {{- end }}
        {{- if and $vault $v.vault.caCertificate.existingConfigMap }}
        - name: vault-ca
          configMap: { name: {{ $v.vault.caCertificate.existingConfigMap }} }
        {{- end }}
        {{- if and (eq $role "gateway") $v.fileSource.existingSecret }}
        - name: credentials
          secret: { secretName: {{ $v.fileSource.existingSecret }}, defaultMode: 0440 }
        {{- end }}
        {{- if and (eq $role "gateway") $v.gateway.forward.enabled (not $v.gateway.forward.authority.vaultPki) }}
        - name: interception
          secret: { secretName: {{ required "valetkey: gateway.forward.enabled needs gateway.forward.authority.existingSecret or .vaultPki" $v.gateway.forward.authority.existingSecret }}, defaultMode: 0440 }
        {{- end }}
        {{- if $v.gateway.trustedCertificates.existingConfigMap }}
        - name: trusted-certificates
          configMap: { name: {{ $v.gateway.trustedCertificates.existingConfigMap }} }
        {{- end }}
        {{- if eq $role "issuer" }}
        {{- with $v.audit.signingKey }}
        {{- if .existingSecret }}
        - name: audit-key
          secret: { secretName: {{ .existingSecret }}, defaultMode: 0440, items: [{ key: {{ .key | quote }}, path: {{ .key | quote }} }] }
        {{- end }}
        {{- end }}
        {{- with $v.console.oidc.clientSecret }}
        {{- if .existingSecret }}
        - name: console-client
          secret: { secretName: {{ .existingSecret }}, defaultMode: 0440, items: [{ key: {{ .key | quote }}, path: {{ .key | quote }} }] }
        {{- end }}
        {{- end }}
        {{- if $v.policies }}
        - name: policies
          configMap: { name: {{ include "valetkey.fullname" $root }}-policies }
        {{- end }}
        {{- if $v.issuer.tokenReview }}
        - name: kubernetes
          projected:
            defaultMode: 0440
            sources:
              - serviceAccountToken: { expirationSeconds: 3600, path: token }
              - configMap:
                  name: kube-root-ca.crt
                  items: [{ key: ca.crt, path: ca.crt }]
        {{- end }}
        {{- end }}
        {{- with concat $v.volumes $spec.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
