{{- define "borax.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "borax.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "borax.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "borax.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "borax.selector" -}}
app.kubernetes.io/name: {{ include "borax.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "borax.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "borax.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: flux
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "borax.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "borax.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "borax.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "borax.storagePort" -}}
{{- splitList ":" .Values.storage.addr | last -}}
{{- end -}}

{{- define "borax.args" -}}
- run
{{- with .Values.controllers }}
- --controllers={{ join "," . }}
{{- end }}
- --watch-all-namespaces={{ .Values.watchAllNamespaces }}
{{- with .Values.watchLabelSelector }}
- {{ printf "--watch-label-selector=%s" . | quote }}
{{- end }}
- {{ printf "--watch-configs-label-selector=%s" .Values.watchConfigsLabelSelector | quote }}
- --concurrent={{ .Values.concurrent }}
- --concurrent-ssa={{ .Values.concurrentSSA }}
- --requeue-dependency={{ .Values.requeueDependency }}
- --interval-jitter-percentage={{ .Values.intervalJitterPercentage }}
- --min-retry-delay={{ .Values.minRetryDelay }}
- --max-retry-delay={{ .Values.maxRetryDelay }}
- --http-retry={{ .Values.httpRetry }}
- --kube-api-qps={{ .Values.kubeAPI.qps }}
- --kube-api-burst={{ .Values.kubeAPI.burst }}
- --no-remote-bases={{ or .Values.noRemoteBases .Values.multitenancy.enabled }}
{{- if .Values.multitenancy.enabled }}
- --no-cross-namespace-refs=true
- {{ printf "--default-service-account=%s" .Values.multitenancy.defaultServiceAccount | quote }}
{{- end }}
{{- range .Values.overrideManagers }}
- {{ printf "--override-manager=%s" . | quote }}
{{- end }}
{{- with .Values.customApplyStageKinds }}
- {{ printf "--custom-apply-stage-kinds=%s" (join "," .) | quote }}
{{- end }}
- --insecure-kubeconfig-exec={{ .Values.insecureKubeconfigExec }}
- --insecure-kubeconfig-tls={{ .Values.insecureKubeconfigTLS }}
{{- $gates := list }}
{{- range $name, $on := .Values.featureGates }}
{{- $gates = append $gates (printf "%s=%v" $name $on) }}
{{- end }}
{{- with $gates }}
- --feature-gates={{ join "," . }}
{{- end }}
- --metrics-addr=:{{ .Values.metrics.port }}
- --health-addr=:{{ .Values.health.port }}
- --storage-path=/data
- --storage-addr={{ .Values.storage.addr }}
- --storage-adv-addr={{ default (printf "%s.%s.svc.cluster.local." (include "borax.fullname" .) .Release.Namespace) .Values.storage.advertisedAddr }}
- --artifact-digest-algo={{ .Values.storage.digestAlgo }}
- --artifact-retention-ttl={{ .Values.storage.retentionTTL }}
- --artifact-retention-records={{ .Values.storage.retentionRecords }}
- --log-encoding={{ .Values.log.encoding }}
- --log-level={{ .Values.log.level }}
{{- if or .Values.leaderElection.enabled (gt (int .Values.replicas) 1) }}
- --enable-leader-election
- --leader-election-lease-duration={{ .Values.leaderElection.leaseDuration }}
- --leader-election-renew-deadline={{ .Values.leaderElection.renewDeadline }}
- --leader-election-retry-period={{ .Values.leaderElection.retryPeriod }}
- --leader-election-release-on-cancel={{ .Values.leaderElection.releaseOnCancel }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
