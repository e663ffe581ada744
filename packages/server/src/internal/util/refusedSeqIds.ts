/** The sequence numbers that a request names as rejected: they may never have reached the queue of the model. */
import * as Training from "@effect-tinker/api/Training"
import * as Context from "effect/Context"

/** Those of the current request. @internal */
export class RefusedSeqIds extends Context.Reference<RefusedSeqIds>()("@effect-tinker/server/internal/RefusedSeqIds", {
  defaultValue: (): ReadonlyArray<number> => []
}) {}

/** Reads the header. What is not a number is left out, and so are those beyond the bound. @internal */
export const parse = (header: string): ReadonlyArray<number> =>
  header
    .split(",", Training.maxRefusedSeqIds)
    .map((text) => (/^\s*\d{1,10}\s*$/.test(text) ? Number(text) : -1))
    .filter((seqId) => seqId > 0)
