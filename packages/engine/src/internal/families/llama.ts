/** Llama, and models that are built alike, such as SmolLM2. */
import type { Family } from "./family.ts"
import { show } from "./fields.ts"

/** @internal */
export const llama: Family = {
  name: "llama",
  architecture: "LlamaForCausalLM",
  traits: () => ({}),
  unsupported: (raw) => {
    const window = raw["sliding_window"]
    return window === undefined || window === null || window === 0 || raw["use_sliding_window"] === false
      ? []
      : [`sliding_window is ${show(window)}: Llama has full attention`]
  }
}
