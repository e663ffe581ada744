/** What the service holds and does at the moment, in numbers, for its operator. */
import * as Effect from "effect/Effect"
import type { Futures } from "../work/futures.ts"
import { listInfos, type ServiceState } from "./serviceState.ts"

/**
 * What the service holds and does at the moment, in numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Levels {
  /** sessions that have not ended */
  readonly sessions: number
  /** models of these sessions */
  readonly models: number
  /** their sampling sessions */
  readonly samplers: number
  /** operations that run, and operations that wait */
  readonly running: number
  readonly queued: number
  /** users who have created a session, ever; 0 for a service without keys */
  readonly users: number
  readonly checkpoints: number
  /** size of the tensors of all checkpoints in bytes */
  readonly checkpointBytes: number
}

/** @internal */
export const of = (state: ServiceState, futures: Futures): Effect.Effect<Levels> =>
  Effect.map(Effect.all([listInfos(state), Effect.orDie(state.users.count)]), ([infos, users]) => ({
    sessions: state.sessions.size,
    models: state.models.size,
    samplers: state.samplers.records.size,
    ...futures.load,
    users,
    checkpoints: infos.length,
    checkpointBytes: infos.reduce((total, { size_bytes }) => total + size_bytes, 0)
  }))
