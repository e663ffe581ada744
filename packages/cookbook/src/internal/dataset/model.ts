/** The interface of data sets, which files, arrays and what is made from them implement. */
import type * as Effect from "effect/Effect"
import type { Origin } from "./intake.ts"

/**
 * Items by their positions. What stands at a position never changes, so a program that resumes or shuffles needs nothing
 * but numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dataset<out A, out E = never, out R = never> {
  /** what messages call it */
  readonly name: string
  readonly size: number
  /** 16 hexadecimal digits that tell these items, in this order, from any others */
  readonly fingerprint: string
  /** @throws RangeError if there is nothing at the position. */
  readonly at: (position: number) => Effect.Effect<A, E, R>
  /** the file, and the line or row, that an item is from */
  readonly originOf: (position: number) => Origin
  /** a hash below 2^53, which equal items share */
  readonly hashAt: (position: number) => number
  /** whether the file says that the item is held out from training */
  readonly isTest: (position: number) => boolean
}
