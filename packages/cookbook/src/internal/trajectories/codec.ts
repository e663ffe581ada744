/** Trajectories as JSON, exactly: the logprobs as bytes, and what a turn repeats of the one before left out. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as ParseResult from "effect/ParseResult"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { merged, rest } from "./data.ts"
import type { Trajectory, Turn } from "./model.ts"

/** JSON has no numbers that are not finite, and loses the sign of a zero. */
const AnyNumber = Schema.transform(
  Schema.Union(Schema.Finite, Schema.Literal("NaN", "Infinity", "-Infinity", "-0")),
  Schema.Number,
  {
    strict: true,
    decode: Number,
    encode: (value) => {
      if (Object.is(value, -0)) return "-0"
      return Number.isFinite(value) ? value : (String(value) as "NaN" | "Infinity" | "-Infinity")
    }
  }
)

const Metrics = Schema.Record({ key: Schema.String, value: AnyNumber })

/** Little-endian bytes, four a number. */
const Logprobs = Schema.Uint8ArrayFromBase64.pipe(Schema.filter((bytes) => bytes.length % 4 === 0))

const StoredTurn = Schema.Struct({
  /** whether `observation` continues that of the turn before and its action */
  extends: Schema.Boolean,
  observation: ModelInput.ModelInput,
  tokens: ModelInput.Tokens,
  logprobs: Logprobs,
  stop_reason: Schema.String,
  sequence_id: Schema.optional(Schema.String),
  reward: AnyNumber,
  masked: Schema.optional(Schema.Boolean),
  metrics: Schema.optional(Metrics)
})

const Stored = Schema.parseJson(
  Schema.Struct({
    turns: Schema.Array(StoredTurn),
    stop: Schema.Literal(
      "completed",
      "tool_stopped",
      "max_turns",
      "max_tokens",
      "max_sampled_tokens",
      "max_tool_calls",
      "context_overflow",
      "parse_error",
      "rollout_timeout"
    ),
    reward: AnyNumber,
    metrics: Schema.optional(Metrics),
    logs: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String }))
  })
)

const toBytes = (values: Float32Array): Uint8Array => {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  for (const [i, value] of values.entries()) view.setFloat32(i * 4, value, true)
  return new Uint8Array(view.buffer)
}

const fromBytes = (bytes: Uint8Array): Float32Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true))
}

/** All that was given and sampled up to the end of a turn. */
const wholeOf = ({ action, observation }: Pick<Turn, "action" | "observation">): ReadonlyArray<ModelInput.Chunk> => [
  ...observation.chunks,
  ModelInput.text(action.tokens)
]

const toStored = ({ turns, ...trajectory }: Trajectory): typeof Stored.Type => ({
  ...trajectory,
  turns: turns.map(({ action, masked, metrics, observation, reward }, i) => {
    const before = turns[i - 1]
    const added = before === undefined ? undefined : rest(observation.chunks, wholeOf(before))
    const { logprobs, sequence_id, stop_reason, tokens } = action
    return {
      extends: added !== undefined,
      observation: added === undefined ? observation : ModelInput.make(...added),
      tokens,
      logprobs: toBytes(logprobs),
      stop_reason,
      sequence_id,
      reward,
      masked,
      metrics
    }
  })
})

const fromStored = ({ turns: stored, ...trajectory }: typeof Stored.Type): Trajectory => {
  const turns: Array<Turn> = []
  for (const { extends: continues, logprobs, observation, sequence_id, stop_reason, tokens, ...turn } of stored) {
    const before = turns.at(-1)
    const chunks =
      continues && before !== undefined ? merged([...wholeOf(before), ...observation.chunks]) : observation.chunks
    const action = {
      tokens,
      logprobs: fromBytes(logprobs),
      stop_reason,
      ...(sequence_id === undefined ? {} : { sequence_id })
    }
    turns.push({ ...turn, observation: ModelInput.make(...chunks), action })
  }
  return { ...trajectory, turns }
}

const encodeStored = Schema.encode(Stored)
const decodeStored = Schema.decode(Stored)

/** @internal */
export const encode = (trajectory: Trajectory): Effect.Effect<string, ParseResult.ParseError> =>
  Effect.suspend(() => encodeStored(toStored(trajectory)))

/** Turns that touch come back as one chunk of text. @internal */
export const decode = (json: string): Effect.Effect<Trajectory, ParseResult.ParseError> =>
  Effect.map(decodeStored(json), fromStored)
