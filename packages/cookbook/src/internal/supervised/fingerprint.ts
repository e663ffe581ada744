/** A short text that tells data from other data. */
import * as Effect from "effect/Effect"
import type * as Nll from "../../Nll.ts"

/** Examples that are hashed at a time. */
const chunkSize = 256

const numbers = (values: ArrayLike<number | bigint>): Uint8Array =>
  new Uint8Array(Float64Array.from([values.length, ...Array.from(values, Number)]).buffer)

const text = (value: string): Uint8Array => {
  const bytes = new TextEncoder().encode(value)
  return Uint8Array.from([...numbers([bytes.length]), ...bytes])
}

/** The inputs, targets and weights of examples, each with its length before it. */
const content = (examples: ReadonlyArray<Nll.Example>): Uint8Array<ArrayBuffer> => {
  const parts = examples.flatMap(({ loss_fn_inputs: { target_tokens, weights }, model_input }) => [
    ...model_input.chunks.map((chunk) =>
      chunk.type === "encoded_text" ? numbers(chunk.tokens) : text(JSON.stringify(chunk))
    ),
    numbers(target_tokens.data),
    numbers(weights.data)
  ])
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const sha256 = (bytes: Uint8Array<ArrayBuffer>) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", bytes)),
    (hash) => new Uint8Array(hash)
  )

/** @internal */
export const fingerprint = (examples: ReadonlyArray<Nll.Example>): Effect.Effect<string> =>
  Effect.gen(function* () {
    let hash = yield* sha256(new TextEncoder().encode(`${examples.length} examples`))
    for (let i = 0; i < examples.length; i += chunkSize) {
      const next = yield* sha256(content(examples.slice(i, i + chunkSize)))
      hash = yield* sha256(Uint8Array.from([...hash, ...next]))
    }
    return Array.from(hash.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")
  })
