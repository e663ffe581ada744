/** Decides what happens to each request: by the first fault that selects it, else by the weather. */
import type { PCGRandom } from "effect/Utils"
import type * as Fault from "../../Fault.ts"

/** @internal */
export class FaultPlan {
  private readonly faults: ReadonlyArray<Fault.Fault>
  private readonly random: PCGRandom
  private readonly weather: (request: Fault.Request) => Fault.Action | undefined
  /** how many requests each fault has matched */
  private readonly counts: Array<number>

  constructor(
    faults: ReadonlyArray<Fault.Fault>,
    random: PCGRandom,
    weather: (request: Fault.Request) => Fault.Action | undefined
  ) {
    this.faults = faults
    this.random = random
    this.weather = weather
    this.counts = faults.map(() => 0)
  }

  actionFor(request: Fault.Request): Fault.Action | undefined {
    for (let i = 0; i < this.faults.length; i++) {
      const fault = this.faults[i]!
      if (!matches(fault, request)) continue
      this.counts[i]! += 1
      if (fault.counts(this.counts[i]!) && (fault.chance >= 1 || this.random.number() < fault.chance)) {
        return fault.action
      }
    }
    return this.weather(request)
  }
}

const matches = ({ during, endpoints, where }: Fault.Fault, request: Fault.Request): boolean =>
  (endpoints.length === 0 || endpoints.includes(request.endpoint)) &&
  (during === undefined || (request.millis >= during[0] && request.millis < during[1])) &&
  where.every((predicate) => predicate(request))
