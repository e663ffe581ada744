/**
 * What goes wrong by chance, for a `Simulator` whose seed decides when and to which request.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { PCGRandom } from "effect/Utils"
import * as Fault from "./Fault.ts"

/**
 * `serverError` is a 5xx, before or after the service did its work; `burst` answers all requests of the next seconds so;
 * the others are named as in `Fault`.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind =
  | "loseRequest"
  | "swallow"
  | "loseAnswer"
  | "silence"
  | "serverError"
  | "burst"
  | "tooMany"
  | "timeout"
  | "emptyBadRequest"
  | "duplicate"
  | "delay"
  | "cutBody"
  | "garble"
  | "expire"
  | "pause"
  | "endSession"

/**
 * @since 0.1.0
 * @category models
 */
export interface Weather {
  /** the probability that something happens to a request */
  readonly rate: number
  /** what may happen, by weight */
  readonly kinds: { readonly [K in Kind]?: number }
  /** how long requests and answers are on their way, each: the least and the most */
  readonly latency: readonly [Duration.DurationInput, Duration.DurationInput]
}

/**
 * Nothing goes wrong.
 *
 * @since 0.1.0
 * @category constants
 */
export const fair: Weather = { rate: 0, kinds: {}, latency: [0, 0] }

/**
 * A tenth of the requests meets with something that passes: a program that does its part loses nothing but time.
 *
 * @since 0.1.0
 * @category constants
 */
export const badDay: Weather = {
  rate: 0.1,
  kinds: {
    loseRequest: 4,
    swallow: 1,
    loseAnswer: 4,
    silence: 1,
    serverError: 4,
    burst: 1,
    tooMany: 3,
    timeout: 2,
    emptyBadRequest: 1,
    duplicate: 3,
    delay: 3,
    cutBody: 2,
    pause: 2
  },
  latency: ["1 millis", "250 millis"]
}

/**
 * A bad day on which results expire, answers cannot be read, and sessions end: a program must expect errors.
 *
 * @since 0.1.0
 * @category constants
 */
export const disaster: Weather = {
  ...badDay,
  rate: 0.2,
  kinds: { ...badDay.kinds, garble: 1, expire: 1, endSession: 0.2 }
}

const statuses = [500, 502, 503, 504, 529]

/** @internal */
export const make = (weather: Weather, chance: PCGRandom) => {
  const kinds = Object.entries(weather.kinds) as Array<[Kind, number]>
  const total = kinds.reduce((sum, [, weight]) => sum + weight, 0)
  let stormUntil = -1
  let stormStatus = 503

  const pick = (): Kind => {
    let at = chance.number() * total
    for (const [kind, weight] of kinds) {
      at -= weight
      if (at < 0) return kind
    }
    return kinds[kinds.length - 1]![0]
  }

  const serverError = () => {
    const status = statuses[chance.integer(statuses.length)]!
    const options = chance.integer(4) === 0 ? { retryAfter: Duration.millis(100 + chance.integer(5000)) } : {}
    return chance.integer(2) === 0 ? Fault.any.answer(status, options) : Fault.any.answerAfter(status, options)
  }

  const faultOf = (kind: Kind, request: Fault.Request): Fault.Fault | undefined => {
    const isPoll = request.endpoint === "retrieve_future"
    switch (kind) {
      case "serverError":
        return serverError()
      case "burst":
        stormUntil = request.millis + 500 + chance.integer(15_000)
        stormStatus = statuses[chance.integer(statuses.length)]!
        return Fault.any.answer(stormStatus)
      case "tooMany":
        return Fault.any.answer(
          429,
          chance.integer(2) === 0 ? {} : { retryAfter: Duration.millis(50 + chance.integer(3000)) }
        )
      case "timeout":
        return Fault.any.answer(408)
      case "emptyBadRequest":
        return Fault.any.answer(400, { body: "" })
      case "duplicate":
        return isPoll ? undefined : Fault.any.duplicate(Duration.millis(chance.integer(5000)))
      case "delay":
        return Fault.any.delay(Duration.millis(chance.integer(20_000)))
      case "expire":
        return isPoll ? Fault.any.expire : undefined
      case "pause":
        return isPoll
          ? Fault.any.pause(
              chance.integer(2) === 0 ? "paused_capacity" : "paused_rate_limit",
              chance.integer(2) === 0 ? "simulated" : undefined,
              Duration.millis(chance.integer(20_000))
            )
          : undefined
      default:
        return Fault.any[kind]
    }
  }

  return (request: Fault.Request): Fault.Action | undefined => {
    if (request.millis < stormUntil) return Fault.any.answer(stormStatus).action
    if (total === 0 || chance.number() >= weather.rate) return undefined
    return faultOf(pick(), request)?.action
  }
}
