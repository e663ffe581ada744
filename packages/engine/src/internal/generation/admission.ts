/** Decides which sequence joins the batch next, and whether there is room for it. */
import type { LoadedModel } from "../model/loaded.ts"
import * as sampleMemory from "./sampleMemory.ts"

/** A sample request, as far as the batch has its sequences. @internal */
export interface Request {
  /** the tokens of its prompt */
  readonly tokens: Int32Array
  readonly sequences: ReadonlyArray<unknown>
  /** how many tokens a sequence may have, those of the prompt included */
  readonly needs: number
  /** how many of its sequences have joined */
  next: number
  /** how many of its sequences are in the batch */
  active: number
  isEnded: boolean
}

/** More rows make steps longer, and are not faster in all. */
const usualRows = 64

/** How many rows there are at most: some are left to requests that have none. @internal */
export const mostRows = 96

/** The request whose sequence joins next: that with the fewest rows, and of equal ones the first. @internal */
export const next = <A extends Request>(requests: Iterable<A>, isReady: (request: A) => boolean): A | undefined => {
  let best: A | undefined
  for (const request of requests) {
    if (request.next === request.sequences.length || request.isEnded || !isReady(request)) continue
    if (best === undefined || request.active < best.active) best = request
  }
  return best
}

/** Whether a sequence of a request may join. There is always room for the first one. @internal */
export const hasRoom = (
  model: LoadedModel,
  { active, needs }: Request,
  rows: ReadonlyArray<{ readonly needs: number }>
): boolean => {
  if (rows.length === 0) return true
  if (rows.length >= (active === 0 ? mostRows : usualRows)) return false
  return sampleMemory.rowsFit(model, rows.length + 1, Math.max(needs, ...rows.map(({ needs }) => needs)))
}
