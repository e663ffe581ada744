/**
 * The metrics of the clients, as Effect metrics, which any exporter reads. All but `queueState` have the tag `operation`,
 * such as `TrainingClient.forwardBackward`.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as keys from "./internal/telemetry/metricKeys.ts"

/**
 * Operations that ended. The tag `outcome` is `success`, `failure` or `interrupted`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const operations = Metric.fromMetricKey(keys.operations)

/**
 * Operations that failed. The tag `error` is the error's tag.
 *
 * @since 0.1.0
 * @category metrics
 */
export const failures = Metric.fromMetricKey(keys.failures)

/**
 * Polls for results.
 *
 * @since 0.1.0
 * @category metrics
 */
export const polls = Metric.fromMetricKey(keys.polls)

/**
 * Requests that were retried.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retries = Metric.fromMetricKey(keys.retries)

/**
 * Operations in flight, from call to end.
 *
 * @since 0.1.0
 * @category metrics
 */
export const inFlight = Metric.fromMetricKey(keys.inFlight)

/**
 * Seconds from the call of an operation to its end.
 *
 * @since 0.1.0
 * @category metrics
 */
export const duration = Metric.fromMetricKey(keys.duration)

/**
 * Seconds from the call of an operation until the service has accepted it: queueing, waiting for room, submission.
 *
 * @since 0.1.0
 * @category metrics
 */
export const queueTime = Metric.fromMetricKey(keys.queueTime)

/**
 * Clients whose results are delayed, by the `state` that the service gives as the reason.
 *
 * @since 0.1.0
 * @category metrics
 */
export const queueState = Metric.gauge("tinker.client.queue_state", {
  description: "clients whose results are delayed, by the state of their queue"
})
