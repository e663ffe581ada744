/** The parts of the running service that queries read and commands change. */
import * as Effect from "effect/Effect"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as models from "../models/models.ts"
import type * as samplers from "../sampling/samplers.ts"
import type * as responses from "../util/responses.ts"
import type { Environment } from "../work/environment.ts"
import type * as sessions from "../work/sessions.ts"

/** @internal */
export interface ServiceState extends Pick<
  Environment,
  "admission" | "auditLog" | "engine" | "quota" | "records" | "store" | "usageLog" | "users"
> {
  readonly sessions: sessions.Sessions
  readonly models: models.Models
  readonly samplers: samplers.Samplers
}

/** An effect that may reject its request. @internal */
export type Query<A> = Effect.Effect<A, responses.OperationRejection>

/** All checkpoints that have not expired, the newest first. A failure of the store is a defect of the service. @internal */
export const listInfos = ({ store }: ServiceState): Effect.Effect<ReadonlyArray<CheckpointStore.Info>> =>
  Effect.orDie(store.list)
