/** From tokens with weights to a datum: cut, clean, shift, reduce, in this order. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Either from "effect/Either"
import type { SupervisedExample } from "../formats/model.ts"

type Chunk = ModelInput.ModelInput["chunks"][number]

/** A chunk with the positions that it takes. */
interface Measured {
  readonly chunk: Chunk
  readonly length: number
}

const isText = ({ chunk }: Measured) => chunk.type === "encoded_text"

const tokensOf = ({ chunk }: Measured): Int32Array => (chunk.type === "encoded_text" ? chunk.tokens : new Int32Array())

/** The first positions, at most `maxLength`. What is not text goes whole. */
const cut = (chunks: ReadonlyArray<Measured>, maxLength: number): ReadonlyArray<Measured> => {
  const kept: Array<Measured> = []
  let room = maxLength
  for (const chunk of chunks) {
    if (chunk.length <= room) kept.push(chunk)
    else if (isText(chunk)) {
      const tokens = tokensOf(chunk).subarray(0, room)
      kept.push({ chunk: ModelInput.text(tokens), length: tokens.length })
    }
    if (chunk.length >= room) break
    room -= chunk.length
  }
  return kept
}

/** Without empty chunks, and without what is not text at the end, after which there is nothing to predict. */
const clean = (chunks: ReadonlyArray<Measured>): ReadonlyArray<Measured> => {
  const filled = chunks.filter((chunk) => !isText(chunk) || chunk.length > 0)
  return filled.slice(0, filled.findLastIndex(isText) + 1)
}

const sum = (numbers: Float32Array): number => numbers.reduce((total, n) => total + n, 0)

/** The inputs without the last token, the targets without the first; what is not text has the target 0. */
const shift = (chunks: ReadonlyArray<Measured>) => {
  const length = chunks.reduce((total, chunk) => total + chunk.length, 0)
  const all = new Int32Array(length)
  let at = 0
  for (const chunk of chunks) {
    all.set(tokensOf(chunk), at)
    at += chunk.length
  }
  const inputs = chunks.map(({ chunk }) => chunk)
  const last = inputs.pop()
  if (last?.type === "encoded_text" && last.tokens.length > 1) inputs.push(ModelInput.text(last.tokens.subarray(0, -1)))
  return { input: { chunks: inputs }, targets: all.subarray(1) }
}

/** @internal */
export interface Built {
  readonly datum: Datum.Supervised
  /** the sum of the weights before they were reduced; 0 if nothing is trained */
  readonly weight: number
}

/** How many positions an example has, or why this is not known. @internal */
export const lengthOf = ({ input, weights }: SupervisedExample): Either.Either<number, string> => {
  const length = ModelInput.lengthEither(input)
  if (Either.isLeft(length)) return Either.left(`${length.left.path} ${length.left.reason}`)
  if (length.right === weights.length) return Either.right(length.right)
  return Either.left(`the example has ${length.right} positions and ${weights.length} weights`)
}

const measure = ({ chunks }: ModelInput.ModelInput): ReadonlyArray<Measured> =>
  chunks.map((chunk) => ({ chunk, length: Either.getOrElse(ModelInput.chunkLength(chunk), () => 0) }))

/** The datum, or undefined if fewer than two tokens are left. @internal */
export const build = (
  { input, weights }: SupervisedExample,
  maxLength: number,
  reduction: "none" | "mean"
): Built | undefined => {
  const chunks = clean(cut(measure(input), maxLength))
  const { input: model_input, targets } = shift(chunks)
  if (targets.length === 0) return undefined
  // a copy: the weights of the example stay as they are
  const kept = weights.slice(1, targets.length + 1)
  const weight = sum(kept)
  if (reduction === "mean" && weight > 0) for (let i = 0; i < kept.length; i++) kept[i] = kept[i]! / weight
  return {
    datum: Datum.make({ model_input, loss_fn_inputs: { target_tokens: targets, weights: kept } }),
    weight
  }
}
