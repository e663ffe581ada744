/** Parses the JSON of bodies: large ones in slices, one body at a time, so that the event loop stays free. */
import * as Effect from "effect/Effect"
import { makeMutex } from "../../effect/runtime.ts"
import * as jsonSlices from "./jsonSlices.ts"

/** Parses a body; fails with the `SyntaxError`. @internal */
export type ParseJson = (bytes: Uint8Array) => Effect.Effect<unknown, unknown>

/** The bytes that are parsed at a time: about a millisecond. */
const slice = 256 * 1024

const parseAtOnce: ParseJson = (bytes) =>
  Effect.try({ try: () => JSON.parse(new TextDecoder().decode(bytes)) as unknown, catch: (cause) => cause })

const runSlices = <A>(slices: jsonSlices.Slices<A>): Effect.Effect<A, unknown> => {
  const next: Effect.Effect<A, unknown> = Effect.flatMap(
    Effect.try({ try: () => slices.next(), catch: (cause) => cause }),
    // a yield to Effect's scheduler would not let the event loop turn
    (step) => (step.done === true ? Effect.succeed(step.value) : Effect.andThen(Effect.sleep(0), next))
  )
  return next
}

/** @internal */
export const make: Effect.Effect<ParseJson> = Effect.map(
  makeMutex,
  (exclusively): ParseJson =>
    (bytes) =>
      bytes.length <= slice ? parseAtOnce(bytes) : exclusively(runSlices(jsonSlices.parse(bytes, slice)))
)
