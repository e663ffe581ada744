/** What a response tells of a model that was lost. */
import * as Schema from "effect/Schema"

/** @internal */
export const ModelLost = Schema.Struct({
  model_id: Schema.String,
  /** path of the training state that was last saved or loaded; `null` if there is none */
  last_saved: Schema.NullOr(Schema.String),
  /** optimizer steps since then */
  steps_lost: Schema.Int
})
