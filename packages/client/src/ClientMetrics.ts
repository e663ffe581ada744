/**
 * What the clients count and measure, through Effect's own metrics: any exporter finds them, and the libraries bring
 * none. Each carries the tag `operation`, such as `TrainingClient.forwardBackward`, but for the queue's state.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

const seconds = MetricBoundaries.fromIterable([
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200
])

/**
 * Operations that ended; the tag `outcome` says `success`, `failure` or `interrupted`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const operations = Metric.counter("tinker.client.operations", {
  description: "operations that ended, by outcome"
})

/**
 * Operations that failed; the tag `error` is the error's own.
 *
 * @since 0.1.0
 * @category metrics
 */
export const failures = Metric.counter("tinker.client.failures", { description: "operations that failed, by error" })

/**
 * Requests for a result that was not there yet, or came.
 *
 * @since 0.1.0
 * @category metrics
 */
export const polls = Metric.counter("tinker.client.polls", { description: "requests for results" })

/**
 * Requests that were sent again, because an answer was lost or the service said so.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retries = Metric.counter("tinker.client.retries", { description: "requests that were sent again" })

/**
 * Operations between their call and their end.
 *
 * @since 0.1.0
 * @category metrics
 */
export const inFlight = Metric.gauge("tinker.client.in_flight", { description: "operations under way" })

/**
 * From the call to the result, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const duration = Metric.histogram(
  "tinker.client.duration",
  seconds,
  "seconds from the call of an operation to its end"
)

/**
 * From the call until the service has accepted it, in seconds: the wait for its turn and for room, and the sending.
 *
 * @since 0.1.0
 * @category metrics
 */
export const queueTime = Metric.histogram(
  "tinker.client.queue_time",
  seconds,
  "seconds from the call of an operation until the service has accepted it"
)

/**
 * Clients whose results are held up, by the `state` that the service gives as the reason.
 *
 * @since 0.1.0
 * @category metrics
 */
export const queueState = Metric.gauge("tinker.client.queue_state", {
  description: "clients whose results are held up, by the state of their queue"
})
