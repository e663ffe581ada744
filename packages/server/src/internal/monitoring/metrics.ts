/** The metrics of the service, in Effect's registry: requests, tokens, and what is there at the moment. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

/** Names of all metrics of this package start with it. @internal */
export const prefix = "tinker.server."

const requests = Metric.counter(`${prefix}requests`, {
  description: "requests, by endpoint and status",
  incremental: true
})

/** The exporter of OpenTelemetry reads the unit from this label. @internal */
export const unitLabel = "unit"

const inSeconds = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) => Metric.tagged(metric, unitLabel, "s")

const durations = Metric.histogram(
  `${prefix}request_duration_seconds`,
  MetricBoundaries.fromIterable([0.005, 0.02, 0.1, 0.5, 2, 10, 30, 120]),
  "time from a request to its response, by endpoint; polls wait for results"
).pipe(inSeconds)

const queueTimes = Metric.histogram(
  `${prefix}queue_time_seconds`,
  MetricBoundaries.fromIterable([0.005, 0.02, 0.1, 0.5, 2, 10, 30, 120, 600]),
  "time from the submission of an operation until the engine begins it"
).pipe(inSeconds)

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

// by operation: a metric that is tagged at each update is looked up each time
const queueTimesOf = new Map<string, typeof queueTimes>()

type Recorder = (seconds: number) => void

const recorders = new Map<string, Recorder>()

const makeRecorder = (endpoint: string, status: number): Recorder => {
  const count = requests.pipe(Metric.tagged("endpoint", endpoint), Metric.tagged("status", String(status)))
  const duration = Metric.tagged(durations, "endpoint", endpoint)
  return (seconds) => {
    count.unsafeUpdate(1, [])
    duration.unsafeUpdate(seconds, [])
  }
}

/** Counts a request. Both labels have few values: `endpoint` is a name of the contract. @internal */
export const recordRequest = (endpoint: string, status: number, seconds: number): void => {
  const key = `${endpoint} ${status}`
  let record = recorders.get(key)
  if (record === undefined) recorders.set(key, (record = makeRecorder(endpoint, status)))
  record(seconds)
}

/** @internal */
export const recordTokens = (type: string, count: number): Effect.Effect<void> =>
  Metric.incrementBy(Metric.tagged(tokens, "type", type), count)

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
export const recordQueueTime = (operation: string, seconds: number): void => {
  let metric = queueTimesOf.get(operation)
  if (metric === undefined) queueTimesOf.set(operation, (metric = Metric.tagged(queueTimes, "operation", operation)))
  metric.unsafeUpdate(seconds, [])
}
