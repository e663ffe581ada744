/** The keys of the client's metrics, and the metrics of each operation. */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

const seconds = MetricBoundaries.fromIterable([
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200
])

/** The exporter of OpenTelemetry reads the unit from this label. */
const inSeconds = <Type extends MetricKeyType.MetricKeyType.Untyped>(
  key: MetricKey.MetricKey<Type>
): MetricKey.MetricKey<Type> => MetricKey.tagged(key, "unit", "s")

/** @internal */
export const operations = MetricKey.counter("tinker.client.operations", {
  description: "operations that ended, by outcome",
  incremental: true
})

/** @internal */
export const failures = MetricKey.counter("tinker.client.failures", {
  description: "operations that failed, by error",
  incremental: true
})

/** @internal */
export const polls = MetricKey.counter("tinker.client.polls", {
  description: "requests for results",
  incremental: true
})

/** @internal */
export const retries = MetricKey.counter("tinker.client.retries", {
  description: "requests that were retried",
  incremental: true
})

/** @internal */
export const inFlight = MetricKey.gauge("tinker.client.in_flight", { description: "operations in flight" })

/** @internal */
export const duration = inSeconds(
  MetricKey.histogram("tinker.client.duration", seconds, "seconds from the call of an operation to its end")
)

/** @internal */
export const queueTime = inSeconds(
  MetricKey.histogram(
    "tinker.client.queue_time",
    seconds,
    "seconds from the call of an operation until the service has accepted it"
  )
)

const genAiDuration = MetricKey.histogram(
  "gen_ai.client.operation.duration",
  MetricBoundaries.fromIterable([
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
  ]),
  "seconds from the call of a sample or pass to its end"
)

const tokenUsage = MetricKey.histogram(
  "gen_ai.client.token.usage",
  MetricBoundaries.fromIterable(Array.from({ length: 14 }, (_, power) => 4 ** power)),
  "tokens that samples and passes read and sampled"
)

// Each metric is made once, with its tags in its key: a metric that is tagged at each update is looked up each time.
const makeMetrics = (operation: string) => {
  const of = <Type extends MetricKeyType.MetricKeyType.Untyped>(
    key: MetricKey.MetricKey<Type>,
    ...tags: ReadonlyArray<MetricLabel.MetricLabel>
  ) => Metric.fromMetricKey(MetricKey.taggedWithLabels(key, [MetricLabel.make("operation", operation), ...tags]))
  const outcome = (name: string) => of(operations, MetricLabel.make("outcome", name))
  return {
    success: outcome("success"),
    failure: outcome("failure"),
    interrupted: outcome("interrupted"),
    failedWith: (tag: string) => of(failures, MetricLabel.make("error", tag)),
    polls: of(polls),
    retries: of(retries),
    inFlight: of(inFlight),
    duration: of(duration),
    queueTime: of(queueTime)
  }
}

/** @internal */
export type OperationMetrics = ReturnType<typeof makeMetrics>

const known = new Map<string, OperationMetrics>()

/** The metrics of an operation, tagged with its name. @internal */
export const metricsFor = (operation: string): OperationMetrics => {
  let metrics = known.get(operation)
  if (metrics === undefined) {
    metrics = makeMetrics(operation)
    known.set(operation, metrics)
  }
  return metrics
}

const makeUsageMetrics = (operation: string) => {
  const labels = [
    MetricLabel.make("gen_ai.operation.name", operation),
    MetricLabel.make("gen_ai.provider.name", "tinker")
  ]
  const usage = (type: string) =>
    Metric.fromMetricKey(
      MetricKey.taggedWithLabels(tokenUsage, [
        ...labels,
        MetricLabel.make("gen_ai.token.type", type),
        MetricLabel.make("unit", "{token}")
      ])
    )
  return {
    duration: Metric.fromMetricKey(
      MetricKey.taggedWithLabels(genAiDuration, [...labels, MetricLabel.make("unit", "s")])
    ),
    input: usage("input"),
    output: usage("output")
  }
}

/** The metrics of samples and passes. @internal */
export const usageMetrics = {
  text_completion: makeUsageMetrics("text_completion"),
  forward: makeUsageMetrics("forward"),
  forward_backward: makeUsageMetrics("forward_backward")
}
