/**
 * Custom losses that run on the service: a graph of operations as plain data, in the form of `torch.fx`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { withDefault } from "./internal/schemas/optional.ts"
import { JsonValue, openEnum, typeField } from "./internal/schemas/wire.ts"

/**
 * An input of the loss: `logprobs`, which comes first, or a loss input of the datum. Its rank is 0 for a scalar, 1 for
 * `[T]`, 2 for `[T, K]`. A loss has at most 16 inputs.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Input = Schema.Struct({ name: Schema.String, rank: Schema.Literal(0, 1, 2) })

/**
 * @since 0.1.0
 * @category models
 */
export type Input = typeof Input.Type

/**
 * One operation. Arguments are JSON values and lists of them; any other value is an object with one key: `ref` (the name
 * of another node), `tuple`, `dict`, `slice`, `ellipsis`, `float` (`inf`, `-inf`, `nan`), `dtype`, `device`, `layout` or
 * `memory_format`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Node = Schema.Struct({
  op: openEnum("placeholder", "get_attr", "call_function", "call_method", "call_module", "output"),
  name: Schema.String,
  target: Schema.String,
  args: withDefault(Schema.Array(JsonValue), () => []),
  kwargs: withDefault(Schema.Record({ key: Schema.String, value: JsonValue }), () => ({}))
})

/**
 * @since 0.1.0
 * @category models
 */
export type Node = typeof Node.Type

/**
 * The nodes in execution order.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Graph = Schema.Struct({
  format: withDefault(Schema.Literal(1), () => 1 as const),
  nodes: Schema.Array(Node)
})

/**
 * @since 0.1.0
 * @category models
 */
export type Graph = typeof Graph.Type

/**
 * Uploads a custom loss.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateCustomLossRequest = Schema.Struct({
  session_id: Schema.String,
  custom_loss_seq_id: Schema.Int,
  name: Schema.String,
  inputs: Schema.Array(Input),
  graph: Graph,
  type: typeField("create_custom_loss")
})

/**
 * @since 0.1.0
 * @category models
 */
export type CreateCustomLossRequest = typeof CreateCustomLossRequest.Type

/**
 * The id of the loss. Requests of the same session use it with the `loss_fn` `custom` and this `loss_id` in the config.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateCustomLossResponse = Schema.Struct({ loss_id: Schema.String, type: typeField("create_custom_loss") })

/**
 * @since 0.1.0
 * @category models
 */
export type CreateCustomLossResponse = typeof CreateCustomLossResponse.Type
