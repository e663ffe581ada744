/** The UUID of the process. */
import * as Effect from "effect/Effect"
import { uuid } from "../util/uuid.ts"
import { withRandomOfProcess } from "./runtime.ts"

let ofProcess: string | undefined

/**
 * One UUID for the whole process. It takes no random number of the program that happens to be the first: with a seed, that
 * program would then run otherwise than a second time.
 *
 * @internal
 */
export const processUuid: Effect.Effect<string> = Effect.suspend(() =>
  ofProcess === undefined
    ? Effect.map(withRandomOfProcess(uuid), (made) => (ofProcess ??= made))
    : Effect.succeed(ofProcess)
)
