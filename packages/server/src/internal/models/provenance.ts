/** Resolves the spans of data for `stable_reinforce`: finds what was recorded when their tokens were sampled. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"
import type { Recorded, StabilityRecords } from "../work/stability.ts"

/** Finds a sequence that the session recorded. */
type Find = (sequence_id: string) => Recorded | undefined

/** A span with what it names, and where it begins in the positions that the spans cover. */
interface Placed {
  readonly span: Datum.Span
  readonly recorded: Recorded
  readonly start: number
}

/** What the spans name, or why one of them names nothing that was recorded. */
const placeSpans = (
  find: Find,
  path: string,
  spans: ReadonlyArray<Datum.Span>
): Either.Either<ReadonlyArray<Placed>, string> => {
  const placed: Array<Placed> = []
  let start = 0
  for (let i = 0; i < spans.length; i++) {
    const span = spans[i]!
    const { length, offset, sequence_id, type } = span
    const recorded = find(sequence_id)
    if (recorded === undefined) {
      return Either.left(
        `${path}[${i}] names the sequence ${sequence_id}, which is not recorded: sample it in the same session with ` +
          "record_stability_info, and train on it within a day"
      )
    }
    const recordedLength = type === "prompt" ? recorded.prompt?.length : recorded.tokens.length
    if (recordedLength !== undefined && offset + length > recordedLength) {
      const what = type === "prompt" ? "the prompt of " : ""
      return Either.left(
        `${path}[${i}] ends at position ${offset + length}, but ${what}${sequence_id} has ${recordedLength} tokens`
      )
    }
    placed.push({ span, recorded, start })
    start += length
  }
  return Either.right(placed)
}

/** The first position whose token is not the recorded one, or -1. */
const firstDifference = (tokens: ArrayLike<number | bigint>, { recorded, span, start }: Placed): number => {
  const { length, offset, type } = span
  const sampled = type === "prompt" ? recorded.prompt : recorded.tokens
  if (sampled === undefined) return -1
  for (let i = 0; i < length; i++) if (Number(tokens[start + i]) !== sampled[offset + i]) return start + i
  return -1
}

/** Why the spans of the input do not describe its tokens, or `undefined`. */
const inputProblem = (find: Find, { model_input, model_input_spans = [] }: Datum.Datum): string | undefined => {
  const placed = placeSpans(find, "model_input_spans", model_input_spans)
  if (Either.isLeft(placed)) return placed.left
  if (!ModelInput.isText(model_input)) return undefined
  const tokens = ModelInput.toTokens(model_input)
  for (const one of placed.right) {
    const position = firstDifference(tokens, one)
    if (position >= 0) return `model_input: token ${position} is not that of ${one.span.sequence_id}, which its span names`
  }
  return undefined
}

/** Why the targets of a span, or their advantages, do not fit it. Targets in a prompt may have any token. */
const targetProblem = (
  targets: ArrayLike<number | bigint>,
  advantages: ArrayLike<number | bigint>,
  placed: Placed
): string | undefined => {
  const { span, start } = placed
  if (span.type === "sampled") {
    const position = firstDifference(targets, placed)
    return position < 0
      ? undefined
      : `loss_fn_inputs.target_tokens[${position}] is not the token of ${span.sequence_id}, which its span names`
  }
  for (let i = start; i < start + span.length; i++) {
    if (Number(advantages[i]) !== 0) {
      return `loss_fn_inputs.advantages[${i}] is ${advantages[i]}, but it must be 0: the token was not sampled`
    }
  }
  return undefined
}

const resolveDatum = (find: Find, datum: Datum.Datum): Either.Either<Datum.Datum, string> => {
  const { loss_fn_input_spans, loss_fn_inputs } = datum
  const { advantages, target_tokens } = loss_fn_inputs
  const missing = loss_fn_input_spans === undefined ? "loss_fn_input_spans" : "loss_fn_inputs.advantages"
  if (loss_fn_input_spans === undefined || advantages === undefined) {
    return Either.left(`${missing} is missing: stable_reinforce needs it`)
  }
  const wrongInput = inputProblem(find, datum)
  if (wrongInput !== undefined) return Either.left(wrongInput)
  const placed = placeSpans(find, "loss_fn_input_spans", loss_fn_input_spans)
  if (Either.isLeft(placed)) return Either.left(placed.left)
  const logprobs = new Float32Array(advantages.data.length)
  const sampled_mask = new Float32Array(advantages.data.length)
  for (const one of placed.right) {
    const wrongTarget = targetProblem(target_tokens!.data, advantages.data, one)
    if (wrongTarget !== undefined) return Either.left(wrongTarget)
    const { recorded, span, start } = one
    if (span.type === "prompt") continue
    logprobs.set(recorded.logprobs.subarray(span.offset, span.offset + span.length), start)
    sampled_mask.fill(1, start, start + span.length)
  }
  if (!sampled_mask.includes(1)) return Either.left("loss_fn_input_spans name no sampled token, so there is no loss")
  const like = (data: Float32Array): TensorData.TensorData => ({ ...advantages, dtype: "float32", data })
  const resolved = { ...loss_fn_inputs, logprobs: like(logprobs), sampled_mask: like(sampled_mask) }
  return Either.right({ ...datum, loss_fn_inputs: resolved })
}

/**
 * Dense data with `logprobs` as recorded at their sampled tokens, and a `sampled_mask` of 1 at these; both are 0
 * elsewhere. The sequences that they name are kept for another day. On the left is why a datum does not fit what was
 * recorded, beginning with the path of the field.
 *
 * @internal
 */
export const resolve = (
  records: StabilityRecords,
  session: string,
  data: ReadonlyArray<Datum.Datum>,
  now: number
): Either.Either<ReadonlyArray<Datum.Datum>, string> => {
  const named = new Set<string>()
  const find: Find = (id) => {
    named.add(id)
    return records.get(session, id, now)
  }
  const out: Array<Datum.Datum> = []
  for (let i = 0; i < data.length; i++) {
    const resolved = resolveDatum(find, data[i]!)
    if (Either.isLeft(resolved)) return Either.left(`data[${i}].${resolved.left}`)
    out.push(resolved.right)
  }
  for (const id of named) records.touch(id, now)
  return Either.right(out)
}
