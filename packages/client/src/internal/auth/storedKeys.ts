/** The content of the file of stored keys, and the check of its version. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { optionalWithDefault } from "../effect/optionalWithDefault.ts"
import { invalid } from "./credential.ts"

const unknownFields = { key: Schema.String, value: Schema.Unknown }

const StoredKey = Schema.Struct({ key: Schema.Redacted(Schema.String) }, unknownFields)

/**
 * @since 0.1.0
 * @category models
 */
export type StoredKey = typeof StoredKey.Type

const StoredKeys = Schema.Struct(
  {
    version: optionalWithDefault(Schema.Literal(1), () => 1 as const),
    default: Schema.optional(Schema.NullOr(Schema.String)),
    keys: optionalWithDefault(Schema.Record({ key: Schema.String, value: StoredKey }), () => ({}))
  },
  unknownFields
)

/**
 * @since 0.1.0
 * @category models
 */
export type StoredKeys = typeof StoredKeys.Type

const decodeJson = Schema.decodeUnknown(Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })))
const decodeKeys = Schema.decodeUnknown(StoredKeys)
const encodeKeys = Schema.encodeSync(StoredKeys)

const versionProblem = (version: unknown): string | undefined =>
  typeof version !== "number" || version === 1
    ? undefined
    : `is of version ${version}, and this release knows version 1: update it, or set TINKER_API_KEY`

/** Decodes the content of a file. No error shows it. @internal */
export const decode = (file: string, text: string): Effect.Effect<StoredKeys, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    // without the cause, which might show a key
    const toError = () =>
      invalid(file, "does not hold stored keys: move it away and log in again, or set TINKER_API_KEY")
    const json = yield* Effect.mapError(decodeJson(text), toError)
    const problem = versionProblem(json["version"])
    if (problem !== undefined) return yield* invalid(file, problem)
    return yield* Effect.mapError(decodeKeys(json), toError)
  })

/** @internal */
export const encode = (keys: StoredKeys): string => `${JSON.stringify(encodeKeys(keys), null, 2)}\n`

/** @internal */
export const defaultKey = (keys: StoredKeys): { readonly id: string; readonly record: StoredKey } | undefined => {
  const id = keys.default
  return id === undefined || id === null || !Object.hasOwn(keys.keys, id) ? undefined : { id, record: keys.keys[id]! }
}
