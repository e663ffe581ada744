import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { BaseModel } from "../model/loaded.ts"
import * as config from "../model/architecture.ts"
import { userError } from "../util/errors.ts"
import type { Stored } from "../executors/executor.ts"
import * as lora from "./layout.ts"

/**
 * Weights of adapters, merged into those of the base model and stored with the executor while they are in use. A few
 * that are not in use are kept as well, those used last.
 *
 * @internal
 */
export interface Snapshots {
  /** Runs with the merged weights, by the names that programs use. Users of the same object share them. */
  readonly use: <A, E, R>(
    adapter: Engine.Adapter,
    f: (weights: { readonly [name: string]: Stored }) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Engine.EngineError, R>
  /** Fails when the adapter does not fit the base model. */
  readonly check: (adapter: Engine.Adapter) => Effect.Effect<void, Engine.EngineError>
  readonly forget: (adapter: Engine.Adapter) => Effect.Effect<void>
}

interface Entry {
  readonly adapter: Engine.Adapter
  readonly own: ReadonlyArray<Stored>
  readonly weights: { readonly [name: string]: Stored }
  users: number
}

const read = (base: BaseModel, adapter: Engine.Adapter) =>
  Effect.gen(function* () {
    const layout = lora.layout(base.config, adapter.lora_config)
    if (Either.isLeft(layout)) return yield* userError(layout.left)
    const vector = lora.fromAdapter(layout.right, adapter, base.name)
    if (Either.isLeft(vector)) return yield* userError(vector.left)
    return { layout: layout.right, vector: vector.right }
  })

const mergeInto = (base: BaseModel, adapter: Engine.Adapter): Effect.Effect<Entry, Engine.EngineError> =>
  Effect.gen(function* () {
    const { layout, vector } = yield* read(base, adapter)
    const own: Array<Stored> = []
    const weights: Record<string, Stored> = { ...base.stored }
    for (let i = 0; i < layout.parts.length; i += 2) {
      const [a, b] = [layout.parts[i]!, layout.parts[i + 1]!]
      const name = a.layer.part === "unembed" ? config.unembedding(base.config) : `${a.layer.name}.weight`
      const { data, shape } = base.weights[name]!
      const merged = lora.merge(
        data,
        lora.view(vector, a),
        lora.view(vector, b),
        layout.rank,
        adapter.lora_alpha / layout.rank
      )
      weights[name] = yield* base.executor.store(merged, shape)
      own.push(weights[name])
    }
    return { adapter, own, weights, users: 0 }
  })

/** @internal */
export const make = (base: BaseModel, idle: number): Snapshots => {
  // in the order of their last use
  let entries: ReadonlyArray<Entry> = []

  const release = (gone: (entry: Entry) => boolean) => {
    for (const entry of entries) if (gone(entry)) for (const stored of entry.own) stored.release()
    entries = entries.filter((entry) => !gone(entry))
  }

  const acquire = (adapter: Engine.Adapter) =>
    Effect.gen(function* () {
      const known = entries.find((entry) => entry.adapter === adapter)
      const entry = known ?? (yield* mergeInto(base, adapter))
      entry.users += 1
      entries = [...entries.filter((other) => other !== entry), entry]
      const unused = entries.filter(({ users }) => users === 0)
      const surplus = unused.slice(0, Math.max(0, unused.length - idle))
      release((other) => surplus.includes(other))
      return entry
    })

  return {
    use: (adapter, f) =>
      Effect.acquireUseRelease(
        acquire(adapter),
        ({ weights }) => f(weights),
        (entry) =>
          Effect.sync(() => {
            entry.users -= 1
          })
      ),
    check: (adapter) => Effect.asVoid(read(base, adapter)),
    forget: (adapter) => Effect.sync(() => release((entry) => entry.users === 0 && entry.adapter === adapter))
  }
}
