/** Draws faults from the probabilities of a weather. */
import * as Duration from "effect/Duration"
import type { PCGRandom } from "effect/Utils"
import * as Fault from "../../Fault.ts"
import type * as Weather from "../../Weather.ts"

const statuses = [500, 502, 503, 504, 529]

/** A 5xx that all requests get for a while. */
interface Burst {
  until: number
  status: number
}

/** @internal */
export const make = (
  weather: Weather.Weather,
  random: PCGRandom
): ((request: Fault.Request) => Fault.Action | undefined) => {
  const kinds = Object.entries(weather.kinds) as Array<[Weather.Kind, number]>
  const total = kinds.reduce((sum, [, weight]) => sum + weight, 0)
  const burst: Burst = { until: -1, status: 503 }
  return (request) => {
    if (request.millis < burst.until) return Fault.any.respond(burst.status).action
    if (total === 0 || random.number() >= weather.rate) return undefined
    return drawFault(drawKind(kinds, random.number() * total), request, random, burst)?.action
  }
}

/** The kind at a position within the cumulative weights. */
const drawKind = (kinds: ReadonlyArray<readonly [Weather.Kind, number]>, position: number): Weather.Kind => {
  let left = position
  for (const [kind, weight] of kinds) {
    left -= weight
    if (left < 0) return kind
  }
  return kinds[kinds.length - 1]![0]
}

const operations = [
  "forward",
  "forward_backward",
  "optim_step",
  "load_weights",
  "save_weights",
  "save_weights_for_sampler"
]

const isOperation = ({ endpoint }: Fault.Request) => operations.includes(endpoint)

const drawFault = (
  kind: Weather.Kind,
  request: Fault.Request,
  random: PCGRandom,
  burst: Burst
): Fault.Fault | undefined => {
  const isPoll = request.endpoint === "retrieve_future"
  switch (kind) {
    case "serverError":
      return drawServerError(random)
    case "burst":
      burst.until = request.millis + 500 + random.integer(15_000)
      burst.status = statuses[random.integer(statuses.length)]!
      return Fault.any.respond(burst.status)
    case "tooMany":
      return Fault.any.respond(
        429,
        random.integer(2) === 0 ? {} : { retryAfter: Duration.millis(50 + random.integer(3000)) }
      )
    case "timeout":
      return Fault.any.respond(408)
    case "emptyBadRequest":
      return Fault.any.respond(400, { body: "" })
    case "refusal":
      return isOperation(request) ? Fault.any.respond([401, 403, 413, 422][random.integer(4)]!) : undefined
    case "duplicate":
      return isPoll ? undefined : Fault.any.duplicate(Duration.millis(random.integer(5000)))
    case "delay":
      return Fault.any.delay(Duration.millis(random.integer(20_000)))
    case "expire":
      return isPoll ? Fault.any.expire : undefined
    case "pause":
      return isPoll ? drawPause(random) : undefined
    case "kill":
      return Fault.any.kill({
        after: Duration.millis(random.integer(600)),
        down: Duration.millis(1 + random.integer(20_000))
      })
    default:
      return Fault.any[kind]
  }
}

/** A 5xx, before or after the service has handled the request. */
const drawServerError = (random: PCGRandom): Fault.Fault => {
  const status = statuses[random.integer(statuses.length)]!
  const options = random.integer(4) === 0 ? { retryAfter: Duration.millis(100 + random.integer(5000)) } : {}
  return random.integer(2) === 0 ? Fault.any.respond(status, options) : Fault.any.respondAfter(status, options)
}

const drawPause = (random: PCGRandom): Fault.Fault =>
  Fault.any.pause(
    random.integer(2) === 0 ? "paused_capacity" : "paused_rate_limit",
    random.integer(2) === 0 ? "simulated" : undefined,
    Duration.millis(random.integer(20_000))
  )
