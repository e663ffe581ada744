/**
 * What the clients count and measure, through Effect's own metrics: any exporter finds them, and the libraries bring
 * none. Each carries the tag `operation`, such as `TrainingClient.forwardBackward`, but for the queue's state.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as keys from "./internal/telemetry/metricKeys.ts"

/**
 * Operations that ended; the tag `outcome` says `success`, `failure` or `interrupted`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const operations = Metric.fromMetricKey(keys.operations)

/**
 * Operations that failed; the tag `error` is the error's own.
 *
 * @since 0.1.0
 * @category metrics
 */
export const failures = Metric.fromMetricKey(keys.failures)

/**
 * Requests for a result that was not there yet, or came.
 *
 * @since 0.1.0
 * @category metrics
 */
export const polls = Metric.fromMetricKey(keys.polls)

/**
 * Requests that were sent again, because an answer was lost or the service said so.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retries = Metric.fromMetricKey(keys.retries)

/**
 * Operations between their call and their end.
 *
 * @since 0.1.0
 * @category metrics
 */
export const inFlight = Metric.fromMetricKey(keys.inFlight)

/**
 * From the call to the result, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const duration = Metric.fromMetricKey(keys.duration)

/**
 * From the call until the service has accepted it, in seconds: the wait for its turn and for room, and the sending.
 *
 * @since 0.1.0
 * @category metrics
 */
export const queueTime = Metric.fromMetricKey(keys.queueTime)

/**
 * Clients whose results are held up, by the `state` that the service gives as the reason.
 *
 * @since 0.1.0
 * @category metrics
 */
export const queueState = Metric.gauge("tinker.client.queue_state", {
  description: "clients whose results are held up, by the state of their queue"
})
