/** Models whose process ended: what the client is told of them. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Store from "../../Store.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "./environment.ts"

/** A training state that a model can go on from, and the steps of its optimizer. */
interface Saved {
  readonly path: string
  readonly steps: number
}

const exists = (store: CheckpointStore.Service, path: string): Effect.Effect<boolean> =>
  Option.match(TinkerPath.parse(path), {
    onNone: () => Effect.succeed(false),
    onSome: (parsed) => Effect.isSuccess(store.info(parsed))
  })

/** The state that was last saved or loaded; if it was removed, the newest of the run that is there. */
const lastSaved = Effect.fnUntraced(function* (
  { store }: Environment,
  { id, saved_path, saved_steps, steps }: Store.RunRow
): Effect.fn.Return<Saved | undefined> {
  if (saved_path === undefined) return undefined
  if (yield* exists(store, saved_path)) return { path: saved_path, steps: saved_steps }
  const infos = yield* Effect.orElseSucceed(store.list, () => [])
  const newest = infos.find((info) => info.training_run_id === id && info.kind === "weights")
  return newest === undefined
    ? undefined
    : { path: TinkerPath.format(newest), steps: Math.min(steps, newest.optimizer_step ?? 0) }
})

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

const describe = (id: string, last: string | undefined, steps: number): string =>
  `model ${id} ended with the process of the service, and ${plural(steps, "optimizer step")} ` +
  (last === undefined
    ? "with it: no training state of it was saved"
    : `since ${last} with it: create a model from that training state with its optimizer`)

const rejectionOf = (environment: Environment, run: Store.RunRow): Effect.Effect<responses.NotFound> =>
  Effect.map(lastSaved(environment, run), (last) => {
    const lost = { model_id: run.id, last_saved: last?.path ?? null, steps_lost: run.steps - (last?.steps ?? 0) }
    return responses.modelLost(describe(run.id, last?.path, lost.steps_lost), lost)
  })

const hasEnded = ({ records }: Environment, { session_id }: Store.RunRow): Effect.Effect<boolean> =>
  Effect.map(Effect.orDie(records.sessions.get({ id: session_id })), (session) => session?.status.type !== "active")

/** The rejection of requests for a model that this process does not hold. @internal */
export const missingModel = (environment: Environment, id: string): Effect.Effect<responses.NotFound> =>
  Effect.gen(function* () {
    const { records } = environment
    const run = yield* Effect.orDie(records.runs.get({ id }))
    const user = yield* currentUser.CurrentUser
    if (run === undefined || !currentUser.owns(user, run.owner)) return responses.notFound(`there is no model ${id}`)
    if (run.state === "lost") return yield* rejectionOf(environment, run)
    if (run.state === "unloaded") return responses.notFound(`model ${id} was unloaded`)
    if (yield* hasEnded(environment, run)) {
      return responses.notFound(`the session of model ${id} has ended, and it is unloaded`)
    }
    return responses.notFound(`model ${id} is in training in another process`)
  })

const modelOfRequest = /^(.+:train:\d+):(?:\d+|unload)$/

/** The rejection of a poll for a request that is not known: that of its model, if that is lost. @internal */
export const missingRequest = (
  environment: Environment,
  request: string,
  rejection: responses.NotFound
): Effect.Effect<responses.NotFound> => {
  const id = modelOfRequest.exec(request)?.[1]
  return id === undefined
    ? Effect.succeed(rejection)
    : Effect.map(missingModel(environment, id), (missing) => (missing.model_lost === undefined ? rejection : missing))
}
