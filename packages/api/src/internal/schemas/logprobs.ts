/** Logprobs, on the wire and in memory. */
import * as Schema from "effect/Schema"
import * as arbitraries from "../arbitraries/tensors.ts"

const LogprobsFromSelf = Schema.declare((u): u is Float32Array => u instanceof Float32Array, {
  identifier: "Float32Array",
  arbitrary: arbitraries.logprobs
})
const NumbersFromSelf: Schema.Schema<ReadonlyArray<number | null>> = Schema.declare(
  (u): u is ReadonlyArray<number | null> =>
    Array.isArray(u) && u.every((value) => value === null || typeof value === "number"),
  { identifier: "Logprobs", jsonSchema: { type: "array", items: { type: ["number", "null"] } } }
)

/** Numbers or `null` on the wire, `NaN` for `null` in memory. @internal */
export const nullableLogprobs: Schema.Schema<Float32Array, ReadonlyArray<number | null>> = Schema.transform(
  NumbersFromSelf,
  LogprobsFromSelf,
  {
    strict: true,
    decode: (values): Float32Array => Float32Array.from(values, (value) => value ?? Number.NaN),
    encode: (logprobs) => Array.from(logprobs, (value) => (Number.isNaN(value) ? null : value))
  }
)
