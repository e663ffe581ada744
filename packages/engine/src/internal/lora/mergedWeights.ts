/** Merges adapters into the weights of the base model for sampling, and keeps a few of the merged models. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { StoredTensor } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import * as budget from "../model/budget.ts"
import { type LoadedModel, type StoredWeights, valuesOf } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"
import { sizeOf } from "../util/shape.ts"
import * as layouts from "./layout.ts"
import * as merge from "./merge.ts"
import * as weights from "./weights.ts"

/**
 * Merged weights, stored with the executor while they are in use. Those that were used last are also kept while they
 * are idle.
 *
 * @internal
 */
export interface MergedWeights {
  /**
   * Runs `f` with the merged weights, and with the memory that all merged weights leave. Concurrent calls with the same
   * adapter object share them.
   */
  readonly use: <A, E, R>(
    adapter: Engine.Adapter,
    f: (weights: StoredWeights, memory: budget.Memory) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Engine.EngineError, R>
  /** Fails if the adapter does not fit the base model. */
  readonly check: (adapter: Engine.Adapter) => Effect.Effect<void, Engine.EngineError>
  /** Releases the merged weights of an adapter unless they are in use. */
  readonly evict: (adapter: Engine.Adapter) => Effect.Effect<void>
}

interface Entry {
  readonly adapter: Engine.Adapter
  /** the weights that differ from those of the base model */
  readonly merged: ReadonlyArray<StoredTensor>
  readonly weights: StoredWeights
  /** of what differs */
  readonly bytes: number
  users: number
}

const readAdapter = (
  model: LoadedModel,
  adapter: Engine.Adapter
): Effect.Effect<{ readonly layout: layouts.Layout; readonly vector: Float32Array }, Engine.EngineError> =>
  Effect.gen(function* () {
    const layout = layouts.make(model.config, adapter.lora_config)
    if (Either.isLeft(layout)) return yield* userError(layout.left)
    const vector = weights.fromAdapter(layout.right, adapter, model.name)
    if (Either.isLeft(vector)) return yield* userError(vector.left)
    return { layout: layout.right, vector: vector.right }
  })

/** How many values of the base model an adapter changes. */
const changedValues = ({ matrices }: layouts.Layout, rank: number): number => {
  let values = 0
  for (let i = 0; i < matrices.length; i += 2) {
    values += (sizeOf(matrices[i]!.shape) / rank) * (sizeOf(matrices[i + 1]!.shape) / rank)
  }
  return values
}

const mergeAdapter = (
  model: LoadedModel,
  memory: budget.Memory,
  adapter: Engine.Adapter
): Effect.Effect<Entry, Engine.EngineError> =>
  Effect.gen(function* () {
    const { layout, vector } = yield* readAdapter(model, adapter)
    const values = changedValues(layout, layout.rank) * budget.copiesOf(model.executor)
    const tooLarge = memory.problem((left) =>
      budget.problem(left, values, "the weights with an adapter merged in", "sample from fewer adapters at a time")
    )
    if (tooLarge !== undefined) return yield* userError(tooLarge)
    const scaling = adapter.lora_alpha / layout.rank
    const merged: Array<StoredTensor> = []
    const all: Record<string, StoredTensor> = { ...model.stored }
    for (let i = 0; i < layout.matrices.length; i += 2) {
      const [a, b] = [layout.matrices[i]!, layout.matrices[i + 1]!]
      const name = architecture.weightName(model.config, a.linear)
      const weight = model.weights[name]!
      const values = valuesOf(weight).slice()
      merge.addTo(values, { a: layouts.view(vector, a), b: layouts.view(vector, b), rank: layout.rank, scaling })
      const stored = yield* model.executor.store(values, weight.shape)
      all[name] = stored
      merged.push(stored)
    }
    return { adapter, merged, weights: all, bytes: budget.bytesPerValue * values, users: 0 }
  })

/** Is told of weights that are released. */
type OnRelease = (weights: StoredWeights) => void

/** The entries, least recently used first. */
class Entries {
  private entries: ReadonlyArray<Entry> = []
  private readonly maxIdle: number
  private readonly onRelease: OnRelease
  constructor(maxIdle: number, onRelease: OnRelease) {
    this.maxIdle = maxIdle
    this.onRelease = onRelease
  }

  find(adapter: Engine.Adapter): Entry | undefined {
    return this.entries.find((entry) => entry.adapter === adapter)
  }

  /** Adds an entry or marks it as the last used, and evicts idle entries that are too many. */
  touch(entry: Entry): void {
    this.entries = [...this.entries.filter((other) => other !== entry), entry]
    const idle = this.entries.filter(({ users }) => users === 0)
    const surplus = idle.slice(0, Math.max(0, idle.length - this.maxIdle))
    this.evict((other) => surplus.includes(other))
  }

  /** What all of them take. */
  get bytes(): number {
    return this.entries.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  evict(predicate: (entry: Entry) => boolean): void {
    for (const entry of this.entries) {
      if (!predicate(entry)) continue
      for (const tensor of entry.merged) tensor.release()
      this.onRelease(entry.weights)
    }
    this.entries = this.entries.filter((entry) => !predicate(entry))
  }
}

/** The memory beside all merged weights. Those that are idle give way to a request that does not fit otherwise. */
const memoryOf = (model: LoadedModel, entries: Entries): budget.Memory => {
  const left = () => ({ ...budget.memoryOf(model), weightBytes: model.weightBytes + entries.bytes })
  return {
    left,
    problem: (find) => {
      if (find(left()) === undefined) return undefined
      entries.evict(({ users }) => users === 0)
      return find(left())
    }
  }
}

const acquire = (
  model: LoadedModel,
  memory: budget.Memory,
  entries: Entries,
  adapter: Engine.Adapter
): Effect.Effect<Entry, Engine.EngineError> =>
  Effect.gen(function* () {
    const entry = entries.find(adapter) ?? (yield* mergeAdapter(model, memory, adapter))
    entry.users += 1
    entries.touch(entry)
    return entry
  })

/** Keeps up to `maxIdle` merged models that are not in use. @internal */
export const make = (model: LoadedModel, maxIdle: number, onRelease: OnRelease = () => undefined): MergedWeights => {
  const entries = new Entries(maxIdle, onRelease)
  const memory = memoryOf(model, entries)
  return {
    use: (adapter, f) =>
      Effect.acquireUseRelease(
        acquire(model, memory, entries, adapter),
        ({ weights }) => f(weights, memory),
        (entry) =>
          Effect.sync(() => {
            entry.users -= 1
          })
      ),
    check: (adapter) => Effect.asVoid(readAdapter(model, adapter)),
    evict: (adapter) => Effect.sync(() => entries.evict((entry) => entry.users === 0 && entry.adapter === adapter))
  }
}
