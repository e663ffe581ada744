/** Seeds of sample requests: a hash of the place of a request in its run, so that neighbours share nothing. */
import { encrypt } from "../order/threefry.ts"

/**
 * Where a request stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  /** the seed of the run */
  readonly run: number
  readonly step: number
  /** the group in its step */
  readonly group: number
}

/** A seed of 31 bits, which any service takes. @internal */
export const seedOf = ({ group, run, step }: Place, member: number, turn: number, attempt: number): number =>
  encrypt([run | 0, Math.floor(run / 2 ** 32) | 0, step | 0, group | 0], [member | 0, turn | 0, attempt | 0, 0])[0] >>>
  1
