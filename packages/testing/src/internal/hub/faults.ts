/** Applies faults to the responses of a fake hub. */
import * as Effect from "effect/Effect"
import type { DurationInput } from "../util/duration.ts"
import { type Reply, reply } from "./replies.ts"

/** @internal */
export type HubFault =
  | { readonly _tag: "Silence" }
  | { readonly _tag: "ConnectionLost" }
  | { readonly _tag: "Delay"; readonly duration: DurationInput }
  | { readonly _tag: "Respond"; readonly status: number; readonly headers: Reply["headers"]; readonly body: string }
  | { readonly _tag: "SilenceAfter"; readonly bytes: number }
  | { readonly _tag: "CutAfter"; readonly bytes: number }
  | { readonly _tag: "Truncate"; readonly bytes: number }
  | { readonly _tag: "Corrupt" }
  | { readonly _tag: "Meanwhile"; readonly effect: Effect.Effect<unknown>; readonly fault: HubFault | undefined }

const corrupt = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice()
  if (copy.length > 0) copy[copy.length - 1]! ^= 1
  return copy
}

const applyToReply = (fault: HubFault, whole: Reply): Reply => {
  switch (fault._tag) {
    case "SilenceAfter":
      return { ...whole, body: whole.body.subarray(0, fault.bytes), ending: "silence" }
    case "CutAfter":
      return { ...whole, body: whole.body.subarray(0, fault.bytes), ending: "connectionLost" }
    case "Truncate":
      return reply(
        whole.status,
        { ...whole.headers, "content-length": String(Math.min(fault.bytes, whole.body.length)) },
        whole.body.subarray(0, fault.bytes)
      )
    case "Corrupt":
      return { ...whole, body: corrupt(whole.body) }
    default:
      return whole
  }
}

/**
 * Applies a fault to the response. Fails if the connection is lost before it. A request that gets no response of the hub
 * has no effect either.
 * @internal
 */
export const apply = (
  fault: HubFault | undefined,
  whole: Effect.Effect<Reply>
): Effect.Effect<Reply, "ConnectionLost"> => {
  if (fault === undefined) return whole
  switch (fault._tag) {
    case "Silence":
      return Effect.never
    case "ConnectionLost":
      return Effect.fail(fault._tag)
    case "Delay":
      return Effect.delay(whole, fault.duration)
    case "Respond":
      return Effect.succeed(reply(fault.status, fault.headers, fault.body))
    case "Meanwhile":
      return Effect.flatMap(fault.effect, () => apply(fault.fault, whole))
    default:
      return Effect.map(whole, (reply) => applyToReply(fault, reply))
  }
}
