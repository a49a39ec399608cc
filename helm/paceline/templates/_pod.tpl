{{/* What pods share: rights, environment, files. */}}
{{- define "paceline.podRights" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "paceline.containerRights" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* No token, no service links: a Service's variables would look like settings (PACELINE_EXCHANGE_PORT). */}}
{{- define "paceline.podBase" -}}
serviceAccountName: {{ include "paceline.account" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "paceline.podRights" 10001 | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.scheduling }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* One address: of (context, variable, values of the store, file). */}}
{{- define "paceline.url" -}}
{{- $store := index . 2 -}}
{{- if $store.url -}}
- name: {{ index . 1 }}
  value: {{ $store.url | quote }}
{{- else -}}
- name: {{ index . 1 }}_FILE
  value: /etc/paceline/stores/{{ index . 3 }}
{{- end }}
{{- end }}

{{/* Whether an address comes from the Secret. */}}
{{- define "paceline.secretStores" -}}
{{- if or (not .Values.redis.people.url) (not .Values.redis.ledger.url) -}}yes{{- end -}}
{{- end }}

{{- define "paceline.env" -}}
- name: PACELINE_CONFIG # for commands inside the pod, too
  value: /etc/paceline/config/paceline.yaml
- name: PACELINE_DATA_DIR
  value: /var/lib/paceline/data
- name: TMPDIR
  value: /tmp
- name: PYTHONDONTWRITEBYTECODE
  value: "1"
{{ include "paceline.url" (list . "PACELINE_REDIS_URL" .Values.redis.people "people-url") }}
{{- if not .Values.valkey.enabled }}{{/* which is one for people and for money */}}
{{ include "paceline.url" (list . "PACELINE_LEDGER_URL" .Values.redis.ledger "ledger-url") }}
{{- end }}
{{- end }}

{{/* Files that every command reads or writes. */}}
{{- define "paceline.mounts" -}}
- name: config
  mountPath: /etc/paceline/config
  readOnly: true
- name: temporary
  mountPath: /tmp
- name: data
  mountPath: /var/lib/paceline
{{- if ne .Values.campaigns.source "demo" }}
- name: campaigns
  mountPath: /etc/paceline/campaigns
  readOnly: true
{{- end }}
{{- if .Values.rates.configMap }}
- name: rates
  mountPath: /etc/paceline/rates
  readOnly: true
{{- end }}
{{- if include "paceline.secretStores" . }}
- name: stores
  mountPath: /etc/paceline/stores
  readOnly: true
{{- end }}
{{- if .Values.redis.tlsSecret }}
- name: redis-tls
  mountPath: /etc/paceline/redis-tls
  readOnly: true
{{- end }}
{{- end }}

{{- define "paceline.volumes" -}}
- name: config
  configMap:
    name: {{ include "paceline.fullname" . }}
- name: temporary
  emptyDir:
    sizeLimit: 2Gi
- name: shared
  persistentVolumeClaim:
    claimName: {{ include "paceline.sharedClaim" . }}
{{- if eq .Values.campaigns.source "claim" }}
- name: campaigns
  persistentVolumeClaim:
    claimName: {{ include "paceline.campaigns" . }}
    readOnly: true
{{- else if ne .Values.campaigns.source "demo" }}
- name: campaigns # no subPath: a changed ConfigMap reaches the running service
  configMap:
    name: {{ include "paceline.campaigns" . }}
{{- end }}
{{- with .Values.rates.configMap }}
- name: rates
  configMap:
    name: {{ . }}
{{- end }}
{{- if include "paceline.secretStores" . }}
- name: stores
  secret:
    secretName: {{ include "paceline.secret" . }}
    defaultMode: 0440
    items:
      {{- if not .Values.redis.people.url }}
      - {key: {{ .Values.redis.people.secretKey }}, path: people-url}
      {{- end }}
      {{- if not (or .Values.redis.ledger.url .Values.valkey.enabled) }}
      - {key: {{ .Values.redis.ledger.secretKey }}, path: ledger-url}
      {{- end }}
{{- end }}
{{- with .Values.redis.tlsSecret }}
- name: redis-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* Models are trained once and read by all instances: the data directory's folder of them is the shared one. */}}
{{- define "paceline.link" -}}
set -eu
umask 077
mkdir -p /var/lib/paceline/data /var/lib/paceline-shared/models
ln -sfnT /var/lib/paceline-shared/models /var/lib/paceline/data/models
{{- end }}
