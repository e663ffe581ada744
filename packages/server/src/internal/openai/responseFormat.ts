/** The format of a response: the JSON schema that it must match, of which only what can be enforced is taken. */
import type * as OpenAi from "@effect-tinker/api/OpenAi"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { invalid, type OpenAiError } from "./errors.ts"

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

const anyObject = '{"type":"object"}'

/** The schema of a response as text; undefined if it is plain text. @internal */
export const schemaOf = ({
  response_format: format
}: OpenAi.ChatRequest): Effect.Effect<string | undefined, OpenAiError> => {
  if (format === undefined) return Effect.succeed(undefined)
  const refuse = (path: string, reason: string) => invalid(path, `${path}: ${reason}`)
  if (!isRecord(format)) return refuse("response_format", "is not an object")
  if (format["type"] === "text") return Effect.succeed(undefined)
  if (format["type"] === "json_object") return Effect.succeed(anyObject)
  if (format["type"] !== "json_schema") return refuse("response_format.type", "is not text, json_object or json_schema")
  const given = format["json_schema"]
  const path = "response_format.json_schema.schema"
  const schema = isRecord(given) ? given["schema"] : undefined
  if (schema === undefined) return refuse(path, "is missing")
  const enforced = Sampling.enforceJsonSchema(JSON.stringify(schema), path)
  return Either.isRight(enforced) ? Effect.succeed(enforced.right) : refuse(enforced.left.path, enforced.left.reason)
}
