/** One poll for a result. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Effect from "effect/Effect"
import * as TinkerClient from "../../TinkerClient.ts"
import type { Options } from "./options.ts"
import { pollPolicy } from "./policy.ts"

/** The options of the next poll, which it counts. @internal */
export const nextPoll = <A, I>({
  method,
  protobuf,
  requestId,
  roundtripSeconds,
  record,
  type
}: Options<A, I>): TinkerClient.CallOptions => {
  const iteration = record.notePoll()
  return {
    method,
    requestId,
    policy: pollPolicy,
    span: record.span,
    protobuf,
    headers: {
      "x-tinker-request-iteration": String(iteration),
      "x-tinker-request-type": type,
      ...(iteration === 0 && roundtripSeconds !== undefined
        ? { "x-tinker-create-promise-roundtrip-time": String(roundtripSeconds) }
        : {})
    }
  }
}

/** @internal */
export const payload = (requestId: string, allow_metadata_only: boolean) => ({
  request_id: requestId,
  allow_metadata_only
})

/** @internal */
export const poll = <A, I>(
  client: TinkerClient.Service,
  options: Options<A, I>,
  allowMetadata: boolean
): Effect.Effect<unknown, TinkerError.TinkerError> =>
  client.call(TinkerApi.retrieveFuture, payload(options.requestId, allowMetadata), nextPoll(options))

/** The result that a protobuf response holds; `undefined` where the body is JSON. @internal */
export const decodedResult = <A>(body: unknown): { readonly value: A } | undefined =>
  body instanceof TinkerClient.Decoded ? (body as { readonly value: A }) : undefined

/** Notes the progress of the client, and maps the result. @internal */
export const finish = <A, I>({ map, progress, record }: Options<A, I>, value: A): A => {
  progress.lastMillis = record.clock.unsafeCurrentTimeMillis()
  return map === undefined ? value : map(value)
}
