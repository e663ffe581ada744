import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"

/**
 * What the metrics are known by. A metric that is made of a key with its tags is found again at once; one that is tagged
 * later is looked for at each update.
 */

const seconds = MetricBoundaries.fromIterable([
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200
])

/** @internal */
export const operations = MetricKey.counter("tinker.client.operations", {
  description: "operations that ended, by outcome"
})

/** @internal */
export const failures = MetricKey.counter("tinker.client.failures", { description: "operations that failed, by error" })

/** @internal */
export const polls = MetricKey.counter("tinker.client.polls", { description: "requests for results" })

/** @internal */
export const retries = MetricKey.counter("tinker.client.retries", { description: "requests that were sent again" })

/** @internal */
export const inFlight = MetricKey.gauge("tinker.client.in_flight", { description: "operations under way" })

/** @internal */
export const duration = MetricKey.histogram(
  "tinker.client.duration",
  seconds,
  "seconds from the call of an operation to its end"
)

/** @internal */
export const queueTime = MetricKey.histogram(
  "tinker.client.queue_time",
  seconds,
  "seconds from the call of an operation until the service has accepted it"
)
