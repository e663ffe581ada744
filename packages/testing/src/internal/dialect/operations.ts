/** What a server remembers of the operations that it has accepted, to put their results into its own form. */
import * as Effect from "effect/Effect"
import { type Answer, type Ask, type Body, type Call, mapBody } from "./exchange.ts"

/** An accepted operation. @internal */
export interface Operation {
  /** the endpoint, such as `forward_backward` */
  readonly endpoint: string
  readonly body: Body
}

/** @internal */
export type Operations = Map<string, Operation>

/** Submits an operation, and returns the envelope in the form of the server. @internal */
export const submit = (
  operations: Operations,
  endpoint: string,
  { body }: Call,
  asked: ReturnType<Ask>,
  envelope: (request_id: string, accepted: Body) => Body,
  status?: number
): ReturnType<Ask> =>
  mapBody(
    asked,
    (accepted) => {
      const request_id = String(accepted["request_id"])
      operations.set(request_id, { endpoint, body })
      return envelope(request_id, accepted)
    },
    status
  )

const isPending = (body: Body): boolean => body["type"] === "try_again" || body["status"] === "complete_metadata"

/** Polls for a result. Results and failures are put into the form of the server; a large one is fetched at once. @internal */
export const retrieve = (
  operations: Operations,
  { body }: Call,
  ask: Ask,
  forms: {
    readonly result: (operation: Operation | undefined, result: Body) => unknown
    readonly failure: (reason: string) => Answer
  }
): ReturnType<Ask> =>
  Effect.map(ask({ body: { ...body, allow_metadata_only: false } }), (answer) => {
    if (answer.status >= 300) return answer
    const result = (answer.body ?? {}) as Body
    if (isPending(result)) return answer
    if (result["error"] !== undefined) return forms.failure(String(result["error"]))
    return { ...answer, body: forms.result(operations.get(String(body["request_id"])), result) }
  })

type Tensor = { readonly data: ReadonlyArray<number>; readonly dtype: string }

/** The outputs of a pass. @internal */
export const outputsOf = (result: Body): ReadonlyArray<{ readonly [name: string]: Tensor }> =>
  (result["loss_fn_outputs"] ?? []) as ReadonlyArray<{ readonly [name: string]: Tensor }>

const inputOf = ({ body }: Operation) =>
  (body["forward_backward_input"] ?? body["forward_input"] ?? {}) as {
    readonly loss_fn?: string
    readonly data?: ReadonlyArray<{ readonly loss_fn_inputs: { readonly [name: string]: Tensor } }>
  }

/** The loss that a pass computes. @internal */
export const lossOf = (operation: Operation): string => inputOf(operation).loss_fn ?? ""

/** The weights of each datum of a pass. @internal */
export const weightsOf = (operation: Operation): ReadonlyArray<ReadonlyArray<number>> =>
  (inputOf(operation).data ?? []).map(({ loss_fn_inputs: { target_tokens, weights } }) =>
    Array.from(weights?.data ?? target_tokens!.data.map(() => 1))
  )
