{{/* Names, labels and numbers that several files share. */}}
{{- define "paceline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "paceline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "paceline.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "paceline.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What a selector selects by: of (context, component). */}}
{{- define "paceline.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "paceline.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels of an object: of (context, component). */}}
{{- define "paceline.labels" -}}
{{- $root := index . 0 -}}
{{ include "paceline.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "paceline.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end }}

{{- define "paceline.secret" -}}
{{- default (include "paceline.fullname" .) .Values.secret.name -}}
{{- end }}

{{- define "paceline.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "paceline.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "paceline.campaigns" -}}
{{- default (printf "%s-campaigns" (include "paceline.fullname" .)) .Values.campaigns.name -}}
{{- end }}

{{- define "paceline.sharedClaim" -}}
{{- default (printf "%s-shared" (include "paceline.fullname" .)) .Values.persistence.shared.existingClaim -}}
{{- end }}

{{/* The most instances that there can be. */}}
{{- define "paceline.instances" -}}
{{- ternary .Values.autoscaling.max .Values.replicas .Values.autoscaling.enabled | int -}}
{{- end }}

{{- define "paceline.drainSeconds" -}}
{{- $exchange := default dict .Values.config.exchange -}}
{{- default 20 $exchange.drain_timeout_s | float64 | ceil | int -}}
{{- end }}

{{/* After SIGTERM /ready says no for so long, and everything is still answered. */}}
{{- define "paceline.drainWaitSeconds" -}}
{{- $exchange := default dict .Values.config.exchange -}}
{{- default 10 $exchange.drain_wait_s | float64 | ceil | int -}}
{{- end }}

{{/* Longer than serving on, draining and giving money back together: SIGKILL must find nobody. */}}
{{- define "paceline.graceSeconds" -}}
{{- add .Values.drain.preStopSeconds (include "paceline.drainWaitSeconds" . | int) (include "paceline.drainSeconds" . | int) .Values.drain.marginSeconds -}}
{{- end }}

{{/* Combinations that no schema can refuse. */}}
{{- define "paceline.check" -}}
{{- $instances := include "paceline.instances" . | int -}}
{{- $shared := .Values.persistence.shared -}}
{{- if and (gt $instances 1) (not $shared.existingClaim) (ne $shared.accessMode "ReadWriteMany") -}}
{{- fail (printf "persistence.shared.accessMode: up to %d instances share the ledger's journal, which needs ReadWriteMany; %s serves one instance" $instances $shared.accessMode) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (.Values.autoscaling.min | int) (.Values.autoscaling.max | int)) -}}
{{- fail (printf "autoscaling.min (%v) is above autoscaling.max (%v)" .Values.autoscaling.min .Values.autoscaling.max) -}}
{{- end -}}
{{- if and (eq .Values.campaigns.source "files") (not .Values.campaigns.files) -}}
{{- fail "campaigns.files: campaigns.source is files, and there is none" -}}
{{- end -}}
{{- if and .Values.campaigns.files (ne .Values.campaigns.source "files") -}}
{{- fail (printf "campaigns.files are given, and campaigns.source is %s: say files" .Values.campaigns.source) -}}
{{- end -}}
{{- if and .Values.valkey.enabled (or .Values.redis.people.url .Values.redis.ledger.url) -}}
{{- fail "valkey.enabled is a trial's one server: leave redis.people.url and redis.ledger.url empty" -}}
{{- end -}}
{{- if and .Values.valkey.enabled (or .Values.redis.people.cluster .Values.redis.ledger.cluster) -}}
{{- fail "valkey.enabled is one server, no cluster: leave redis.people.cluster and redis.ledger.cluster off" -}}
{{- end -}}
{{- $service := .Values.public.service -}}
{{- if and (ne $service.type "ClusterIP") (ne $service.externalTrafficPolicy "Local") (not (hasKey (default dict .Values.config.public) "proxies")) -}}
{{- fail (printf "public.service.externalTrafficPolicy: behind a %s with %s every caller comes from a node's private address, and private addresses are believed to be proxies: anybody could write X-Forwarded-For. Say Local, or name in config.public.proxies whom to believe ([]: nobody)" $service.type $service.externalTrafficPolicy) -}}
{{- end -}}
{{- if and (default dict .Values.config.ops).hosts (ne .Values.metrics.monitor "none") -}}
{{- fail (printf "config.ops.hosts: a %s has Prometheus call pods by their addresses, which the operators' port refuses where it has names: leave the one or the other away" .Values.metrics.monitor) -}}
{{- end -}}
{{- if and .Values.exchange.tls.clientCa (not .Values.exchange.tls.secretName) -}}
{{- fail "exchange.tls.clientCa needs exchange.tls.secretName, a Secret with ca.crt" -}}
{{- end -}}
{{- end }}
