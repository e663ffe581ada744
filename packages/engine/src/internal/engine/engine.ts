/** The engine over opened base models: creates models in training and samplers. */
import type * as Model from "@effect-tinker/api/Model"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as admission from "../generation/admission.ts"
import * as batches from "../generation/batch.ts"
import * as sampler from "../generation/sampler.ts"
import * as grammars from "../grammar/library.ts"
import * as rowAdapter from "../lora/rowAdapter.ts"
import * as losses from "../training/losses.ts"
import * as passProblem from "../training/passProblem.ts"
import * as trainer from "../training/trainer.ts"
import type { ModelMemory } from "../model/budget.ts"
import * as baseModels from "./baseModels.ts"
import * as demands from "./demands.ts"

const createModel = (
  models: baseModels.BaseModels,
  baseModel: string,
  loraConfig: Model.LoraConfig
): Effect.Effect<Engine.EngineModel, Engine.EngineError> =>
  Effect.flatMap(baseModels.load(models, baseModel), (model) => trainer.make(model, loraConfig))

/**
 * Samples from the base model, or from the present state of an adapter. What was read with it is forgotten with the scope.
 */
const createSampler = (
  models: baseModels.BaseModels,
  baseModel: string,
  adapter: Engine.Adapter | undefined
): Effect.Effect<Engine.EngineSampler, Engine.EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const model = yield* baseModels.load(models, baseModel)
    if (adapter === undefined) return { sample: (request) => sampler.sample(model, rowAdapter.none, request) }
    const own = yield* rowAdapter.make(model, adapter)
    yield* Effect.addFinalizer(() => Effect.sync(() => batches.of(model).forget(own)))
    return { sample: (request) => sampler.sample(model, own, request) }
  })

/** An engine with what `demands.problemOf` needs, for the thread of its caller. @internal */
export interface LocalEngine extends Engine.Service {
  readonly memory: ReadonlyArray<ModelMemory>
}

/** @internal */
export const make = (models: baseModels.BaseModels): LocalEngine => {
  const memory = [...models.values()].map(({ memory }) => memory)
  return { ...service(models), memory, demandProblem: demands.problemOf(memory) }
}

const service = (models: baseModels.BaseModels): Engine.Service => ({
  models: [...models.values()].map(({ info }) => info),
  passProblem: passProblem.make([...models.values()].map(({ info }) => info)),
  losses: losses.names,
  // it computes one thing at a time: a second is there when the first has ended
  concurrency: 2,
  batch: admission.mostRows,
  scoring: Engine.scoringOptions,
  schemas: grammars.isAvailable,
  createModel: ({ base_model, lora_config }) => createModel(models, base_model, lora_config),
  createSampler: ({ adapter, base_model }) => createSampler(models, base_model, adapter)
})
