/** The limits on the requests, results and samples that one session has in flight. */
import type * as Session from "../../Session.ts"
import { SampleThrottle } from "./backpressure.ts"
import { Budget } from "./budget.ts"

/** The limits of one session, which all its clients share. @internal */
export interface Limits {
  /** bytes of forward/backward requests that are being sent */
  readonly forwardBackward: Budget
  /** bytes of large results that are being fetched */
  readonly responses: Budget
  /** samples of one sampling session from submission to result */
  readonly maxSamples: number
  readonly samples: SampleThrottle
}

const make = ({ clientConfig }: Session.Service): Limits => ({
  forwardBackward: Budget.bytes(clientConfig.fwdbwd_dispatch_bytes_semaphore_size),
  responses: Budget.bytes(clientConfig.inflight_response_bytes_semaphore_size),
  maxSamples: clientConfig.sample_max_concurrent_requests,
  samples: new SampleThrottle(clientConfig.sample_dispatch_bytes_semaphore_size)
})

const known = new WeakMap<Session.Service, Limits>()

/** The limits of a session, which live as long as it does. @internal */
export const of = (session: Session.Service): Limits => {
  let limits = known.get(session)
  if (limits === undefined) {
    limits = make(session)
    known.set(session, limits)
  }
  return limits
}
