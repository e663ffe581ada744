/** Fields that the requests of saves and loads share. */
import * as Schema from "effect/Schema"
import { nullish } from "../schemas/optional.ts"

/** The place of the operation in the model's queue. @internal */
export const seqId = nullish(Schema.Int)

/** How long the checkpoint is kept. @internal */
export const seconds = nullish(Schema.Int.pipe(Schema.greaterThan(0)))
