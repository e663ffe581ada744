/** Lists whose unreadable entries are left out, so that one of them does not hide the others. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { arrayFromSelf, firstProblem, Invalid, transformOrInvalid } from "../effect/parseError.ts"
import { oneOf } from "./jsonSchema.ts"
import { nullishWithDefault } from "./optional.ts"

/** What is wrong with the entries that were left out of a list, by the list. */
const problemsOf = new WeakMap<ReadonlyArray<unknown>, ReadonlyArray<string>>()

/** @internal */
export const leftOut = (list: ReadonlyArray<unknown>): ReadonlyArray<string> => problemsOf.get(list) ?? []

/** Decodes or encodes each entry. */
const each = <From, To>(
  entries: ReadonlyArray<From>,
  convert: (entry: From) => Either.Either<To, Parameters<typeof firstProblem>[0]>
) => {
  const converted: Array<To> = []
  const problems: Array<string> = []
  entries.forEach((entry, index) => {
    const result = convert(entry)
    if (Either.isRight(result)) converted.push(result.right)
    else problems.push(`[${index}]${firstProblem(result.left)}`)
  })
  return { converted, problems }
}

/** A list that is absent or `null` is empty. Entries that do not decode are left out; `leftOut` reports them. @internal */
export const listing = <A, I>(entry: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(entry)
  const encode = Schema.encodeEither(entry)
  const list = transformOrInvalid(
    Schema.Array(Schema.Unknown.annotations({ jsonSchema: oneOf(entry) })) as unknown as Schema.Schema<
      ReadonlyArray<I>
    >,
    arrayFromSelf(Schema.typeSchema(entry)),
    {
      decode: (encoded): ReadonlyArray<A> => {
        const { converted, problems } = each(encoded, decode)
        if (problems.length > 0) problemsOf.set(converted, problems)
        return converted
      },
      encode: (entries) => {
        const { converted, problems } = each(entries, encode)
        return problems.length === 0 ? converted : new Invalid(problems.join("; "), entries)
      }
    }
  )
  return nullishWithDefault(list, (): ReadonlyArray<A> => [])
}
