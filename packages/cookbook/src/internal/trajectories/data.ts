/** Merges the turns of an episode into data. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type { Example, Turn } from "./model.ts"

/** Chunks with a text chunk for all text that touches. @internal */
export const merged = (chunks: ReadonlyArray<ModelInput.Chunk>): ReadonlyArray<ModelInput.Chunk> => {
  const out: Array<ModelInput.Chunk> = []
  for (const chunk of chunks) {
    const last = out.at(-1)
    if (chunk.type !== "encoded_text" || last?.type !== "encoded_text") out.push(chunk)
    else out[out.length - 1] = ModelInput.text([...last.tokens, ...chunk.tokens])
  }
  return out.filter((chunk) => chunk.type !== "encoded_text" || chunk.tokens.length > 0)
}

const isEqual = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (a instanceof Uint8Array && b instanceof Uint8Array) return a.length === b.length && a.every((x, i) => x === b[i])
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  const [left, right] = [Object.entries(a), b as { readonly [key: string]: unknown }]
  return left.length === Object.keys(b).length && left.every(([key, value]) => isEqual(value, right[key]))
}

const startsWith = (tokens: Int32Array, prefix: Int32Array): boolean =>
  tokens.length >= prefix.length && prefix.every((token, i) => tokens[i] === token)

/** What an input adds to a prefix; `undefined` if it does not begin with it. @internal */
export const rest = (
  chunks: ReadonlyArray<ModelInput.Chunk>,
  prefix: ReadonlyArray<ModelInput.Chunk>
): ReadonlyArray<ModelInput.Chunk> | undefined => {
  const [whole, start] = [merged(chunks), merged(prefix)]
  for (const [i, expected] of start.entries()) {
    const chunk = whole[i]
    if (chunk === undefined) return undefined
    if (chunk.type !== "encoded_text" || expected.type !== "encoded_text") {
      if (!isEqual(chunk, expected)) return undefined
      continue
    }
    if (!startsWith(chunk.tokens, expected.tokens)) return undefined
    if (i < start.length - 1 && chunk.tokens.length !== expected.tokens.length) return undefined
    if (i === start.length - 1) {
      return merged([ModelInput.text(chunk.tokens.subarray(expected.tokens.length)), ...whole.slice(i + 1)])
    }
  }
  return whole.slice(start.length)
}

interface Part {
  readonly given: ModelInput.ModelInput
  readonly turn: Turn
  readonly advantages: number | ArrayLike<number>
}

const toExample = (parts: ReadonlyArray<Part>): Example => {
  const segments: Array<Datum.Segment> = []
  const trained: Array<Datum.Segment> = []
  for (const { advantages, given, turn } of parts) {
    const { logprobs, sequence_id, tokens } = turn.action
    const isMasked = turn.masked === true
    segments.push(given, { tokens, logprobs, sequence_id, advantages: isMasked ? 0 : advantages })
    // a masked turn is trained as little as what was given
    trained.push(given, isMasked ? tokens : { tokens, logprobs, advantages })
  }
  return { datum: Datum.fromSegments(segments), mask: Datum.sampledMask(trained) }
}

/** @internal */
export const toExamples = (
  { turns }: { readonly turns: ReadonlyArray<Turn> },
  advantage: number | ReadonlyArray<number | ArrayLike<number>>
): ReadonlyArray<Example> => {
  if (typeof advantage !== "number" && advantage.length !== turns.length) {
    throw new RangeError(`advantages has the length ${advantage.length}, for ${turns.length} turns`)
  }
  const groups: Array<Array<Part>> = []
  let before: ReadonlyArray<ModelInput.Chunk> | undefined
  for (const [i, turn] of turns.entries()) {
    if (turn.action.tokens.length === 0) continue
    const { chunks } = turn.observation
    const added = before === undefined ? undefined : rest(chunks, before)
    const part = {
      given: added === undefined ? turn.observation : ModelInput.make(...added),
      turn,
      advantages: typeof advantage === "number" ? advantage : advantage[i]!
    }
    if (added === undefined) groups.push([part])
    else groups.at(-1)!.push(part)
    before = [...chunks, ModelInput.text(turn.action.tokens)]
  }
  return groups.map(toExample)
}
