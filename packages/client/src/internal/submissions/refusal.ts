/** Tells a request that was refused for certain from one that may have been accepted, by its error. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"

/** What the error of a request is judged by. */
export interface Circumstances {
  readonly modelId: string
  /** the operation leaves the model as it is, so that no doubt about the model can remain */
  readonly reads: boolean
  /** an earlier attempt of the same request got no response, or one that could not be read */
  readonly mayHaveArrived: boolean
}

/** Whether the service may have accepted an attempt that failed like this. @internal */
export const isAmbiguous = (error: TinkerError.TinkerError): boolean => {
  switch (error._tag) {
    case "TransportError":
      return error.reason !== "InvalidUrl"
    case "ServerError":
      return error.status !== 501
    default:
      return error._tag === "DecodeError"
  }
}

/** Whether the service no longer has the model. A checkpoint or a route that is missing is something else. */
const isModelGone = (status: number, detail: string, modelId: string): boolean =>
  status === 410 ||
  (status === 404 &&
    !/tinker:\/\/|checkpoint/i.test(detail) &&
    (detail.includes(modelId) || /\b(model|session|training run)\b/i.test(detail)))

// too early, or in conflict with other requests: the same request might succeed
const undecided = [408, 409, 425, 429]

/**
 * Whether the operation was not and will not be performed. After an attempt that may have arrived, only a response about
 * the request itself counts (400, 422): a 401 says nothing about the earlier attempt.
 *
 * @internal
 */
export const isRefused = (
  error: TinkerError.TinkerError,
  { mayHaveArrived, modelId, reads }: Circumstances
): boolean => {
  // nothing was sent
  if (error._tag === "InvalidInput" || error._tag === "CredentialCommandFailed") return reads || !mayHaveArrived
  if (!("status" in error) || error.isRetryable || error._tag === "ModelLost") return false
  const { detail, status } = error
  if (status >= 500) return status === 501 && !mayHaveArrived
  if (reads) return true
  if (undecided.includes(status) || isModelGone(status, detail, modelId)) return false
  return !mayHaveArrived || status === 400 || status === 422
}

const maxSeqId = 2 ** 31 - 1

/** The sequence number that a 409 names as the expected one, such as "expected 3, got 4". @internal */
export const expectedSeqId = (error: TinkerError.TinkerError): number | undefined => {
  if (error._tag !== "Conflict") return undefined
  const found = /expect\D{0,60}?(\d{1,10})\b/i.exec(error.detail)?.[1]
  const seqId = Number(found ?? 0)
  return seqId >= 1 && seqId <= maxSeqId ? seqId : undefined
}

/** Whether a 409 is about the sequence number, and not about the name of a checkpoint. @internal */
export const isSeqIdConflict = (error: TinkerError.TinkerError): boolean =>
  error._tag === "Conflict" && /\bseq(uence|_id)?\b/i.test(error.detail)
