/** The metrics of the service, in Effect's registry: requests, tokens, and what is there at the moment. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"

/** Names of all metrics of this package start with it. @internal */
export const prefix = "tinker.server."

const requests = Metric.counter(`${prefix}requests`, {
  description: "requests, by endpoint and status",
  incremental: true
})

/** The exporter of OpenTelemetry reads the unit from this label. @internal */
export const unitLabel = "unit"

const inSeconds = MetricLabel.make(unitLabel, "s")

const durations = Metric.histogram(
  `${prefix}request_duration_seconds`,
  MetricBoundaries.fromIterable([0.005, 0.02, 0.1, 0.5, 2, 10, 30, 120]),
  "time from a request to its response, by endpoint; polls wait for results"
)

const queueTimes = Metric.histogram(
  `${prefix}queue_time_seconds`,
  MetricBoundaries.fromIterable([0.005, 0.02, 0.1, 0.5, 2, 10, 30, 120, 600]),
  "time from the submission of an operation until the engine begins it"
)

const tokens = Metric.counter(`${prefix}tokens`, {
  description: "tokens that were trained, prefilled and sampled",
  incremental: true
})

const gauge = (name: string, description: string) => Metric.gauge(`${prefix}${name}`, { description })

const operations = gauge("operations", "operations without a result, by state")

const gauges = {
  sessions: gauge("sessions", "sessions that have not ended"),
  models: gauge("models", "models that are loaded"),
  samplers: gauge("samplers", "sampling sessions"),
  users: gauge("users", "users who have created a session, ever"),
  checkpoints: gauge("checkpoints", "checkpoints in the store"),
  checkpoint_bytes: gauge("checkpoint_bytes", "size of the tensors of all checkpoints"),
  body_bytes: gauge("body_bytes", "size of the request bodies in memory"),
  draining: gauge("draining", "1 while the service finishes its work to stop, else 0")
}

/** What is there at the moment. @internal */
export interface Levels extends Record<keyof typeof gauges, number> {
  readonly queued: number
  readonly running: number
}

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

/**
 * Labels by their key: one list for all updates of a series, by which a metric finds it at once. A metric that is tagged makes a
 * new list at each update, and looks it up in the registry.
 */
const makeLabels = () => {
  const known = new Map<string, Labels>()
  return (key: string, make: () => Labels): Labels => {
    let labels = known.get(key)
    if (labels === undefined) known.set(key, (labels = make()))
    return labels
  }
}

const labelsOfRequests = makeLabels()
const labelsOfDurations = makeLabels()
const labelsOfOperations = makeLabels()
const labelsOfTokens = makeLabels()

/** Counts a request. Both labels have few values: `endpoint` is a name of the contract. @internal */
export const recordRequest = (endpoint: string, status: number, seconds: number): void => {
  const label = () => MetricLabel.make("endpoint", endpoint)
  requests.unsafeUpdate(
    1,
    labelsOfRequests(`${endpoint} ${status}`, () => [label(), MetricLabel.make("status", String(status))])
  )
  durations.unsafeUpdate(
    seconds,
    labelsOfDurations(endpoint, () => [inSeconds, label()])
  )
}

/** @internal */
export const recordTokens = (type: string, count: number): void =>
  tokens.unsafeUpdate(
    count,
    labelsOfTokens(type, () => [MetricLabel.make("type", type)])
  )

/** Sets the gauges, which are read right afterwards. @internal */
export const setLevels = ({ queued, running, ...levels }: Levels): Effect.Effect<void> =>
  Effect.forEach(
    [
      [Metric.tagged(operations, "state", "queued"), queued] as const,
      [Metric.tagged(operations, "state", "running"), running] as const,
      ...Object.entries(levels).map(([name, value]) => [gauges[name as keyof typeof gauges], value] as const)
    ],
    ([metric, value]) => Metric.set(metric, value),
    { discard: true }
  )

/** @internal */
export const recordQueueTime = (operation: string, seconds: number): void =>
  queueTimes.unsafeUpdate(
    seconds,
    labelsOfOperations(operation, () => [inSeconds, MetricLabel.make("operation", operation)])
  )
