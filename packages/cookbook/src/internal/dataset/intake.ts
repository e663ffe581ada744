/** Takes the records of a source one by one when it is opened: checks them, and keeps what is needed of each. */
import * as Either from "effect/Either"
import { DatasetError, printable } from "../bytes/datasetError.ts"
import * as growable from "../bytes/growable.ts"
import { Fingerprint, hashOf } from "../records/hash.ts"
import type { HashSet } from "../records/hashSet.ts"
import type { Decoded } from "../records/problem.ts"
import type { Recognized } from "../records/recognize.ts"

/** What becomes of a record that is not valid. @internal */
export type Policy = "fail" | "skip" | { readonly collect: number }

/** Where a record is from. @internal */
export interface Origin {
  readonly path: string
  readonly line?: number | undefined
  readonly row?: number | undefined
}

const errorAt = (
  { line, path, row }: Origin,
  { field, reason }: { readonly field?: string | undefined; readonly reason: string }
): DatasetError =>
  new DatasetError({
    path,
    reason,
    ...(line === undefined ? {} : { line }),
    ...(row === undefined ? {} : { row }),
    ...(field === undefined ? {} : { field: printable(field) })
  })

/** Decodes the value of a line or row. @internal */
export type Decode<A> = (value: unknown) => Decoded<Recognized<A>>

/** What a source of records was found to hold. @internal */
export interface Summary {
  readonly path: string
  readonly records: number
  /** how many records are of each format, by its name */
  readonly formats: { readonly [format: string]: number }
  /** records that are not valid and were left out */
  readonly bad: number
  /** the errors of the first of those, as many as were asked for */
  readonly errors: ReadonlyArray<DatasetError>
  /** records that are the same as an earlier one */
  readonly duplicates: number
  /** records that the file marks as held out */
  readonly test: number
}

/** The records of a source, in their order. @internal */
export class Intake<A> {
  private readonly path: string
  private readonly decode: Decode<A>
  private readonly policy: Policy
  private readonly isMixed: boolean
  private readonly seen: HashSet
  private readonly hashes = growable.float64()
  private readonly tests = growable.uint8()
  private readonly formats = new Map<string, { readonly origin: Origin; count: number }>()
  private readonly errors: Array<DatasetError> = []
  private readonly fingerprint = new Fingerprint()
  private bad = 0
  private duplicates = 0
  private testCount = 0
  private first: DatasetError | undefined

  constructor(options: {
    readonly path: string
    readonly decode: Decode<A>
    readonly policy: Policy
    readonly isMixed: boolean
    /** the hashes of all records so far, also of other sources */
    readonly seen: HashSet
  }) {
    this.path = options.path
    this.decode = options.decode
    this.policy = options.policy
    this.isMixed = options.isMixed
    this.seen = options.seen
  }

  get size(): number {
    return this.hashes.length
  }

  hashAt(position: number): number {
    return this.hashes.get(position)
  }

  isTest(position: number): boolean {
    return this.tests.get(position) === 1
  }

  /** Takes a record. Whether it was kept, or the error that ends it. */
  take(value: Decoded<unknown>, origin: Origin): DatasetError | "skip" | undefined {
    const decoded = Either.flatMap(value, this.decode)
    if (Either.isLeft(decoded)) return this.refuse(errorAt(origin, decoded.left))
    const { format, record, split } = decoded.right
    const mixed = this.count(format, origin)
    if (mixed !== undefined) return mixed
    const hash = hashOf(record)
    this.hashes.push(hash)
    this.tests.push(split === "test" ? 1 : 0)
    if (split === "test") this.testCount++
    if (!this.seen.add(hash)) this.duplicates++
    this.fingerprint.add(hash)
    return undefined
  }

  private refuse(error: DatasetError): DatasetError | "skip" {
    if (this.policy === "fail") return error
    this.bad++
    this.first ??= error
    if (typeof this.policy === "object" && this.errors.length < this.policy.collect) this.errors.push(error)
    return "skip"
  }

  private count(format: string | undefined, origin: Origin): DatasetError | undefined {
    if (format === undefined) return undefined
    const known = this.formats.get(format)
    if (known !== undefined) {
      known.count++
      return undefined
    }
    const [other] = this.formats
    this.formats.set(format, { origin, count: 1 })
    // a file of OpenAI may have records without what only OpenAI has
    const isOther = other !== undefined && family(other[0]) !== family(format)
    if (!isOther || this.isMixed) return undefined
    const { line, row } = other[1].origin
    const place = line === undefined ? `row ${row}` : `line ${line}`
    return errorAt(origin, {
      reason: `is ${format}, but ${place} is ${other[0]}: allow it with mixed, or split the file`
    })
  }

  /** The record of a value that was taken before. It fails if that has changed. */
  again(value: Decoded<unknown>, position: number, origin: Origin): Either.Either<A, DatasetError> {
    const decoded = Either.flatMap(value, this.decode)
    return Either.isRight(decoded) && hashOf(decoded.right.record) === this.hashAt(position)
      ? Either.right(decoded.right.record)
      : Either.left(errorAt(origin, { reason: "has changed since the file was opened" }))
  }

  summary(): Summary {
    return {
      path: this.path,
      records: this.size,
      formats: Object.fromEntries(Array.from(this.formats, ([format, { count }]) => [format, count])),
      bad: this.bad,
      errors: this.errors,
      duplicates: this.duplicates,
      test: this.testCount
    }
  }

  /** The error of the first record that was left out. */
  firstError(): DatasetError | undefined {
    return this.first
  }

  /** Tells these records, in this order, from any others. */
  digest(): string {
    return this.fingerprint.toString()
  }
}

const family = (format: string): string => (format === "openai" ? "messages" : format)
