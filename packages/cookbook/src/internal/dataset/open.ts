/** Opens files of records, and puts them together into one data set. */
import * as Effect from "effect/Effect"
import { DatasetError } from "../bytes/datasetError.ts"
import { openFile } from "../bytes/openFile.ts"
import { Fingerprint } from "../records/hash.ts"
import { HashSet } from "../records/hashSet.ts"
import { type Decode, Intake, type Policy, type Summary } from "./intake.ts"
import type { Dataset } from "./model.ts"
import * as parquetSource from "./parquetSource.ts"
import type { Source } from "./source.ts"
import * as textSource from "./textSource.ts"

/** @internal */
export interface OpenOptions {
  readonly maxLineBytes: number
  readonly maxRecords: number
  readonly maxBytes: number
  readonly policy: Policy
  readonly isMixed: boolean
  readonly lines: textSource.Form | undefined
  /** whether records are of the known formats, so that other columns of Parquet files need not be read */
  readonly isKnown: boolean
}

const openOne = Effect.fnUntraced(function* <A>(path: string, decode: Decode<A>, seen: HashSet, options: OpenOptions) {
  const { isMixed, lines, maxBytes, maxLineBytes, maxRecords, policy } = options
  const file = yield* openFile(path, { maxBytes })
  const intake = new Intake({ path, decode, policy, isMixed, seen })
  const limits = { maxLineBytes, maxLines: maxRecords }
  const source =
    file.kind === "parquet"
      ? yield* parquetSource.open(file, { ...limits, maxBytes }, options.isKnown, intake)
      : yield* textSource.open(file, lines ?? textSource.formOf(path), limits, intake)
  yield* warnOfBad(intake)
  if (intake.size === 0) {
    const bad = intake.summary().bad
    const reason = bad === 0 ? "holds no records" : `holds no valid record: ${intake.firstError()?.message}`
    return yield* new DatasetError({ path, reason })
  }
  return source
})

/** Whatever is left out is said. */
const warnOfBad = <A>(intake: Intake<A>): Effect.Effect<void> => {
  const { bad, path, records } = intake.summary()
  return bad === 0
    ? Effect.void
    : Effect.logWarning(
        `${path}: ${bad} of ${records + bad} records are not valid and were left out; the first: ` +
          `${intake.firstError()?.message}`
      )
}

/** The index of the last start that is not above the position. */
const findPart = (starts: ReadonlyArray<number>, position: number): number => {
  let [low, high] = [0, starts.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (starts[middle]! <= position) low = middle
    else high = middle - 1
  }
  return low
}

const fingerprintOf = <A>(sources: ReadonlyArray<Source<A>>): string => {
  const fingerprint = new Fingerprint()
  for (const { intake } of sources) {
    fingerprint.addText(intake.digest())
    fingerprint.add(intake.size)
  }
  return fingerprint.toString()
}

/** One data set of all records of the sources. */
const concatenate = <A>(name: string, sources: ReadonlyArray<Source<A>>): Dataset<A, DatasetError> => {
  const starts: Array<number> = []
  let size = 0
  for (const { intake } of sources) {
    starts.push(size)
    size += intake.size
  }
  const within = <B>(position: number, take: (source: Source<A>, at: number) => B): B => {
    if (!Number.isInteger(position) || position < 0 || position >= size) {
      throw new RangeError(`there is no record at position ${position}: ${name} has ${size}`)
    }
    const part = findPart(starts, position)
    return take(sources[part]!, position - starts[part]!)
  }
  return {
    name,
    size,
    fingerprint: fingerprintOf(sources),
    at: (position) => within(position, (source, at) => source.at(at)),
    originOf: (position) => within(position, (source, at) => source.originOf(at)),
    hashAt: (position) => within(position, ({ intake }, at) => intake.hashAt(at)),
    isTest: (position) => within(position, ({ intake }, at) => intake.isTest(at))
  }
}

/** @internal */
export const open = Effect.fnUntraced(function* <A>(
  paths: ReadonlyArray<string>,
  decode: Decode<A>,
  options: OpenOptions
) {
  const seen = new HashSet()
  const sources = yield* Effect.forEach(paths, (path) => openOne(path, decode, seen, options))
  const summaries: ReadonlyArray<Summary> = sources.map(({ intake }) => intake.summary())
  return { ...concatenate(paths.join(", "), sources), summaries }
})
