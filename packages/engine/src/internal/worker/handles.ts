/** The models and samplers that live in the thread, by handle, and the calls on them. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { serverError } from "../util/errors.ts"
import type * as protocol from "./protocol.ts"

type EngineObject = Engine.EngineModel | Engine.EngineSampler

interface Handle {
  readonly object: EngineObject
  readonly scope: Scope.CloseableScope
}

interface Handles {
  readonly engine: Engine.Service
  /** the parent of the scopes of all objects */
  readonly scope: Scope.Scope
  readonly byNumber: Map<number, Handle>
}

/** Objects that are not released before are released when the scope closes. @internal */
export const make = (engine: Engine.Service): Effect.Effect<Handles, never, Scope.Scope> =>
  Effect.map(Effect.acquireRelease(Scope.make(), Scope.close), (scope) => ({ engine, scope, byNumber: new Map() }))

const create = (
  handles: Handles,
  handle: number,
  make: Effect.Effect<EngineObject, Engine.EngineError, Scope.Scope>
): Effect.Effect<void, Engine.EngineError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(handles.scope, ExecutionStrategy.sequential)
      const object = yield* restore(Scope.extend(make, scope)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      handles.byNumber.set(handle, { object, scope })
    })
  )

/** Releasing an unknown handle does nothing: its object was never created, or is released already. */
const release = ({ byNumber }: Handles, handle: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const found = byNumber.get(handle)
    byNumber.delete(handle)
    return found === undefined ? Effect.void : Scope.close(found.scope, Exit.void)
  })

const find = <K extends string>(
  { byNumber }: Handles,
  handle: number,
  method: K
): Effect.Effect<Extract<EngineObject, { readonly [_ in K]: unknown }>, Engine.EngineError> => {
  const object = byNumber.get(handle)?.object
  return object !== undefined && method in object
    ? Effect.succeed(object as Extract<EngineObject, { readonly [_ in K]: unknown }>)
    : Effect.fail(serverError("the model or sampler has been released", undefined))
}

/** Performs a call. `onToken` is told the tokens of a sample that streams. @internal */
export const perform = (
  handles: Handles,
  call: protocol.Call,
  onToken: Engine.SampleOptions["onToken"]
): Effect.Effect<unknown, Engine.EngineError> => {
  switch (call.method) {
    case "createModel":
      return create(handles, call.handle, handles.engine.createModel(call))
    case "createSampler":
      return create(handles, call.handle, handles.engine.createSampler(call))
    case "release":
      return release(handles, call.handle)
    case "forward":
      return Effect.flatMap(find(handles, call.handle, call.method), (model) => model.forward(call.options))
    case "forwardBackward":
      return Effect.flatMap(find(handles, call.handle, call.method), (model) => model.forwardBackward(call.options))
    case "optimStep":
      return Effect.flatMap(find(handles, call.handle, call.method), (model) => model.optimStep(call.params))
    case "adapter":
      return Effect.flatMap(find(handles, call.handle, call.method), (model) => model.adapter)
    case "optimizer":
      return Effect.flatMap(find(handles, call.handle, call.method), (model) => model.optimizer)
    case "load":
      return Effect.flatMap(find(handles, call.handle, call.method), (model) =>
        model.load(call.adapter, call.optimizer)
      )
    case "sample":
      return Effect.flatMap(find(handles, call.handle, call.method), (sampler) =>
        sampler.sample(call.streams ? { ...call.options, onToken } : call.options)
      )
  }
}
