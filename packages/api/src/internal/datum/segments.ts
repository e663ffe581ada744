/** Puts what was given to a model and what it sampled into one sequence, shifted by one against its targets. */
import * as ModelInput from "../../ModelInput.ts"
import type { Span } from "./schema.ts"

/**
 * What a sampled part of a sequence is trained with. `logprobs` are those of sampling, of the length of `tokens`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SampledSegment {
  readonly tokens: ArrayLike<number>
  readonly logprobs: ArrayLike<number>
  /** one for all tokens, or one for each */
  readonly advantages: number | ArrayLike<number>
  /** the id that sampling returned, for losses that need the provenance of tokens */
  readonly sequence_id?: string | undefined
}

/**
 * A part of a sequence: what the model was given, as tokens or as an input with images, or what it sampled.
 *
 * @since 0.1.0
 * @category models
 */
export type Segment = ModelInput.ModelInput | ArrayLike<number> | SampledSegment

/** A sequence position by position, before the shift. @internal */
export interface Sequence {
  readonly chunks: ReadonlyArray<ModelInput.Chunk>
  readonly tokens: Int32Array
  readonly logprobs: Float32Array
  readonly advantages: Float32Array
  /** 1 where the token was sampled */
  readonly mask: Float32Array
  readonly spans: ReadonlyArray<Span> | undefined
}

const isSampled = (segment: Segment): segment is SampledSegment => "logprobs" in segment

const toInput = (segment: Exclude<Segment, SampledSegment>): ModelInput.ModelInput =>
  "chunks" in segment ? segment : ModelInput.fromTokens(segment)

const checkNumbers = (path: string, values: ArrayLike<number>, length: number): void => {
  if (values.length !== length) throw new RangeError(`${path} has the length ${values.length}, its tokens ${length}`)
  for (let i = 0; i < length; i++) {
    if (!Number.isFinite(values[i])) throw new RangeError(`${path}[${i}] is ${values[i]}, not a finite number`)
  }
}

const advantagesOf = (path: string, { advantages, tokens }: SampledSegment): ArrayLike<number> => {
  const all = typeof advantages === "number" ? new Float64Array(tokens.length).fill(advantages) : advantages
  checkNumbers(`${path}.advantages`, all, tokens.length)
  return all
}

/** The spans of a sequence: a part that was given belongs to the prompt of what is sampled next. */
const spansOf = (segments: ReadonlyArray<Segment>, lengths: ReadonlyArray<number>): ReadonlyArray<Span> | undefined => {
  const spans: Array<Span> = []
  let offset = lengths.reduce((sum, length) => sum + length, 0)
  let next: string | undefined
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]!
    const length = lengths[i]!
    offset -= length
    if (length === 0) continue
    if (isSampled(segment)) next = segment.sequence_id
    if (next === undefined || next === "") return undefined
    spans.unshift(
      isSampled(segment)
        ? { type: "sampled", sequence_id: next, offset: 0, length }
        : { type: "prompt", sequence_id: next, offset, length }
    )
  }
  return spans
}

/**
 * The sequence of the segments, in order.
 *
 * @internal
 */
export const join = (segments: ReadonlyArray<Segment>): Sequence => {
  const inputs = segments.map((segment) =>
    isSampled(segment) ? ModelInput.fromTokens(segment.tokens) : toInput(segment)
  )
  const lengths = inputs.map(ModelInput.length)
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const sequence = {
    chunks: inputs.flatMap(({ chunks }) => chunks),
    tokens: new Int32Array(total),
    logprobs: new Float32Array(total),
    advantages: new Float32Array(total),
    mask: new Float32Array(total),
    spans: spansOf(segments, lengths)
  }
  let at = 0
  for (const [i, segment] of segments.entries()) {
    const length = lengths[i]!
    let position = at
    for (const chunk of inputs[i]!.chunks) {
      if (chunk.type === "encoded_text") sequence.tokens.set(chunk.tokens, position)
      position += ModelInput.length(ModelInput.make(chunk))
    }
    if (isSampled(segment)) {
      const path = `segments[${i}]`
      checkNumbers(`${path}.logprobs`, segment.logprobs, length)
      sequence.logprobs.set(segment.logprobs, at)
      sequence.advantages.set(advantagesOf(path, segment), at)
      sequence.mask.fill(1, at, at + length)
    }
    at += length
  }
  return sequence
}

/** The input without its last token; text that touches becomes one chunk. @internal */
export const withoutLast = (chunks: ReadonlyArray<ModelInput.Chunk>): ModelInput.ModelInput => {
  const out: Array<ModelInput.Chunk> = []
  let text: Array<number> = []
  const endText = () => {
    if (text.length > 0) out.push(ModelInput.text(text))
    text = []
  }
  for (const chunk of chunks) {
    if (chunk.type === "encoded_text") {
      for (const token of chunk.tokens) text.push(token)
    } else {
      endText()
      out.push(chunk)
    }
  }
  if (text.length === 0) throw new RangeError("segments end with no text: there is no token to predict")
  text.pop()
  endText()
  return { chunks: out }
}

/** Spans without the first or the last position. @internal */
export const cutSpans = (spans: ReadonlyArray<Span>, end: "first" | "last"): ReadonlyArray<Span> => {
  const at = end === "first" ? 0 : spans.length - 1
  return spans.flatMap((span, i) => {
    if (i !== at) return [span]
    const length = span.length - 1
    return length === 0 ? [] : [{ ...span, length, offset: span.offset + (end === "first" ? 1 : 0) }]
  })
}
