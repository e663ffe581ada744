/** Imports an adapter that was trained elsewhere, after the engine has accepted it. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as access from "../checkpoints/access.ts"
import * as adapterFiles from "../checkpoints/adapterFiles.ts"
import * as layout from "../checkpoints/layout.ts"
import * as peft from "../checkpoints/peft.ts"
import type { Query, ServiceState } from "../queries/serviceState.ts"
import * as responses from "../util/responses.ts"
import { checkLoraConfig, requireBaseModel } from "../work/baseModels.ts"

type ImportRequest = Weights.ExternalWeightsUploadStartRequest

/** The uploaded files, as PEFT writes them. @internal */
export interface PeftFiles {
  readonly config: Uint8Array
  readonly adapter: Uint8Array
}

/** Validates an import before its files are uploaded, and returns the size of the adapter's tensors in bytes. @internal */
export const validateUpload = (
  { admission, engine, quota }: ServiceState,
  { base_model, lora_config }: ImportRequest
): Query<number> =>
  Effect.gen(function* () {
    yield* admission.check
    yield* requireBaseModel(engine, base_model)
    yield* checkLoraConfig(lora_config)
    const bytes = yield* newAdapterSize(engine, { base_model, lora_config })
    const { id: owner } = yield* currentUser.CurrentUser
    yield* access.orInsufficient(quota.check({ owner, bytes }))
    return bytes
  })

/** Only the engine knows the tensors of an adapter. */
const newAdapterSize = (
  engine: Engine.Service,
  options: Pick<ImportRequest, "base_model" | "lora_config">
): Query<number> =>
  engine.createModel(options).pipe(
    Effect.flatMap(({ adapter }) => adapter),
    Effect.map((adapter) => adapterFiles.sizeOf(adapter, undefined)),
    Effect.scoped,
    Effect.catchAll((error): Query<never> =>
      error.category === "user" ? responses.badRequest(error.reason) : Effect.die(error)
    )
  )

/** Rejects an adapter whose tensors do not fit the base model, or that the engine cannot load. */
const checkAdapter = ({ engine }: ServiceState, adapter: Engine.Adapter): Query<void> => {
  const { base_model, lora_config } = adapter
  return engine.createModel({ base_model, lora_config }).pipe(
    Effect.flatMap((model) =>
      Effect.flatMap(
        model.adapter,
        (expected): Effect.Effect<void, responses.OperationRejection | Engine.EngineError> => {
          const problem = peft.shapeProblem(adapter, expected)
          return problem === undefined
            ? model.load(adapter, undefined)
            : responses.badRequest(`${layout.adapterFile}: ${problem}`)
        }
      )
    ),
    Effect.scoped,
    Effect.catchTag("EngineError", (error): Query<never> =>
      error.category === "user" ? responses.badRequest(`${layout.adapterFile}: ${error.reason}`) : Effect.die(error)
    )
  )
}

/** Stores an uploaded adapter as sampler weights of the current user, and returns its path. @internal */
export const importAdapter = Effect.fnUntraced(function* (
  state: ServiceState,
  { base_model, destination_project_id, lora_config }: ImportRequest,
  contents: PeftFiles
): Effect.fn.Return<string, responses.OperationRejection> {
  const decoded = peft.decodeAdapter({ base_model, lora_config }, contents)
  const adapter = yield* Either.mapLeft(decoded, responses.badRequest)
  yield* checkAdapter(state, adapter)
  const { id: owner } = yield* currentUser.CurrentUser
  const { id: session } = yield* state.sessions.createPlaceholder(destination_project_id, "weights that were uploaded")
  const path = { training_run_id: `${session}:train:0`, kind: "sampler_weights", name: "uploaded" } as const
  yield* access.orInsufficient(state.store.save({ path, owner, adapter }))
  yield* state.auditLog.record(owner, "checkpoint_created", path)
  return TinkerPath.format(path)
})
