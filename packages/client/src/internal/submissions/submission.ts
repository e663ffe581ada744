/** A place in the queue of a model, and the sequence numbers that belong to it. */
import type * as Effect from "effect/Effect"
import type { Place } from "./sendRequests.ts"
import type { SeqIds } from "./seqIds.ts"
import type { Refusal, Role } from "./steps.ts"

/** An operation, or a group of them, with a place in the queue. @internal */
export interface Submission {
  readonly method: string
  readonly role: Role
  /** the era of the client's steps in which it was called */
  readonly era: number
  firstSeqId: number
  requestCount: number
  /** its numbers, where they do not follow each other */
  usedSeqIds: ReadonlyArray<number> | undefined
  /** how many requests of it that add to the gradient the service has accepted */
  gradientRequests: number
  /** of the first request that was refused */
  refusedSeqId: number | undefined
  /** the refusal that its error names */
  refusal: Refusal | undefined
  /** whether the program has seen that it failed */
  isSeen: boolean
  /** sends the requests */
  readonly run: Effect.Effect<void>
  /** fails the future, because the client is broken */
  readonly reject: Effect.Effect<void>
}

/** The submissions that wait behind, and the next free number. @internal */
export interface Numbering {
  readonly waiting: ReadonlyArray<Submission>
  readonly seqIds: SeqIds
  nextSeqId: number
}

/** Moves the numbers of all that wait. */
const moveWaiting = (numbering: Numbering, by: number): void => {
  for (const later of numbering.waiting) later.firstSeqId += by
  numbering.nextSeqId += by
  numbering.seqIds.moveLater(by)
}

/** Passes the unused sequence numbers of a submission to those behind it. @internal */
export const releaseSeqIds = (numbering: Numbering, submission: Submission, used: number): void => {
  const unused = submission.requestCount - used
  submission.requestCount = used
  moveWaiting(numbering, -unused)
}

/** The sequence numbers of a submission. @internal */
export const seqIdsOf = ({ firstSeqId, requestCount, usedSeqIds }: Submission): ReadonlyArray<number> =>
  usedSeqIds ?? Array.from({ length: requestCount }, (_, index) => firstSeqId + index)

/** The place of an operation whose numbers begin at an offset within its submission. @internal */
export const placeOf = (
  numbering: Numbering,
  submission: Submission,
  {
    adds,
    offset,
    release
  }: {
    readonly offset: number
    /** whether what is accepted adds to the gradient */
    readonly adds: boolean
    readonly release: (count: number) => void
  }
): Place => ({
  seqId: (index) => submission.firstSeqId + offset + index,
  moveTo: (seqId) => {
    const by = seqId - (submission.firstSeqId + offset)
    submission.firstSeqId += by
    moveWaiting(numbering, by)
  },
  release,
  note: (verdict, seqId) => {
    if (verdict === "accepted" && adds) submission.gradientRequests++
    if (verdict === "refused" || verdict === "unsent") submission.refusedSeqId ??= seqId
  }
})
