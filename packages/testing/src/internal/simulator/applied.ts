/** Describes the operations that took effect in the engine, by the spans of the service in which they ran. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

const spanPrefix = "tinker.server."

// a save reads the adapter and the optimizer, and one of them is enough; a sampler is created for a sample
const ignored: ReadonlyArray<string> = ["optimizer", "createSampler"]

const training: ReadonlyArray<string> = ["ForwardBackward", "OptimStep"]

/** An operation has spans of its parts. */
const parts: ReadonlyArray<string> = ["queue", "compute", "storage"].map((part) => `${spanPrefix}${part}`)

const operationSpan = (span: Tracer.AnySpan | undefined): Tracer.Span | undefined =>
  span?._tag === "Span" && parts.includes(span.name)
    ? operationSpan(Option.getOrUndefined(span.parent))
    : span?._tag === "Span"
      ? span
      : undefined

/** The operation of the service behind one of the engine, unless it is a part of another. @internal */
export const describeApplied = Effect.fnUntraced(function* (
  { input, name }: { readonly name: string; readonly input: unknown },
  start: number
) {
  if (ignored.includes(name)) return undefined
  const span = operationSpan(Option.getOrUndefined(yield* Effect.option(Effect.currentSpan)))
  const type = span?.name.startsWith(spanPrefix) ? span.name.slice(spanPrefix.length) : name
  // a gradient is dropped by loading what the model has
  if (training.includes(type) && name === "adapter") return undefined
  // a model that is created from a checkpoint takes effect when that is loaded
  if (name === "createModel" && type !== "CreateModel") return undefined
  return {
    type: training.includes(type) && name === "load" ? "DropGradient" : type,
    model_id: textAttribute(span, "tinker.model_id"),
    sampling_session_id: textAttribute(span, "tinker.sampling_session_id"),
    seq_id: Number(span?.attributes.get("tinker.seq_id") ?? 0),
    input,
    millis: (yield* Clock.currentTimeMillis) - start
  }
})

const textAttribute = (span: Tracer.Span | undefined, name: string): string | undefined => {
  const value = span?.attributes.get(name)
  return typeof value === "string" ? value : undefined
}
