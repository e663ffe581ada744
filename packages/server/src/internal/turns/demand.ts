/** The size of an operation, for an engine that may refuse it. */
import type * as Model from "@effect-tinker/api/Model"

/**
 * The size of a pass, with the tokens of each datum and the targets of each, or of a sample request, with its longest end.
 *
 * @since 0.1.0
 * @category models
 */
export type Demand =
  | {
      readonly _tag: "Pass"
      readonly base_model: string
      readonly lora_config: Model.LoraConfig
      readonly sequences: ReadonlyArray<{ readonly tokens: number; readonly targets: number }>
      readonly backward: boolean
    }
  | {
      readonly _tag: "Sample"
      readonly base_model: string
      readonly prompt_tokens: number
      readonly max_tokens: number
      readonly scores_prompt: boolean
    }
