/** What the store knows of a model in training. */
import type * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"
import type { Environment } from "../work/environment.ts"
import type { ModelRecord } from "./models.ts"

type Change = Omit<Partial<Store.RunRow>, "id">

/** The record of a new model. */
const rowOf = ({ base, id, lora_config, lastRequest, session, user_metadata }: ModelRecord, instance: string): Store.RunRow => ({
  id,
  session_id: session.id,
  owner: session.owner,
  base_model: base.model_name,
  lora_config,
  user_metadata,
  created_at: lastRequest,
  last_request: lastRequest,
  state: "waiting",
  steps: 0,
  saved_path: undefined,
  saved_steps: 0,
  instance
})

/** Records a new model. The record is committed with the next group. @internal */
export const add = ({ records }: Environment, record: ModelRecord): Effect.Effect<void> =>
  records.runs.later.put(rowOf(record, records.instance))

const change = ({ records }: Environment, { id }: ModelRecord, changes: Change, urgency?: "idle"): Effect.Effect<void> =>
  records.runs.later.patch({ id, ...changes }, urgency)

/** @internal */
export const setState = (environment: Environment, record: ModelRecord, state: Store.RunRow["state"]) =>
  change(environment, record, { state })

/** Counts a step of the optimizer. @internal */
export const addStep = (environment: Environment, record: ModelRecord) => {
  record.steps++
  return change(environment, record, { steps: record.steps })
}

/** Records which training state equals that of the model: it was saved or loaded now. @internal */
export const setSaved = (environment: Environment, record: ModelRecord, path: string) =>
  change(environment, record, { steps: record.steps, saved_path: path, saved_steps: record.steps })

/** @internal */
export const setLastRequest = (environment: Environment, record: ModelRecord) =>
  change(environment, record, { last_request: record.lastRequest }, "idle")
