/** Which renderers fit which model. */

const qwen3 = ["qwen3", "qwen3_disable_thinking"]

/** The recommended renderers of models, by what their names match; the first is the most recommended. */
const families: ReadonlyArray<readonly [RegExp, ReadonlyArray<string>]> = [
  [/^Llama-3\.[123]-\d+B-Instruct$/, ["llama3"]],
  [/^Llama-3\.[123]-\d+B$/, ["role_colon"]],
  [/^(?:Meta-)?Llama-3-\d+B-Instruct$/, ["llama3"]],
  [/^(?:Meta-)?Llama-3-\d+B$/, ["role_colon"]],
  [/^Qwen3(?:\.\d+)?-[\w.-]*Base$/, ["role_colon"]],
  [/^Qwen3-[\w.-]+-Instruct-2507$/, ["qwen3_instruct"]],
  [/^Qwen3-\d+(?:\.\d+)?B(?:-A\d+B)?$/, qwen3],
  [/^Qwen3-VL-[\w.-]+-Instruct$/, ["qwen3_vl_instruct"]],
  [/^Qwen3\.[56]-/, ["qwen3_5"]],
  [/^Qwen3\.8-/, ["qwen3_8_xhigh_reasoning"]],
  [/^DeepSeek-V3\.1-Base$/, ["role_colon"]],
  [/^DeepSeek-V3\.1/, ["deepseekv3"]],
  [/^DeepSeek-V4\.1/, ["deepseekv4_1"]],
  [/^gpt-oss-/, ["gpt_oss_no_sysprompt"]],
  [/^Kimi-K2\.6/, ["kimi_k26"]],
  [/^Kimi-K2\.5/, ["kimi_k25"]],
  [/^Kimi-K3\.1-Pro/, ["kimi_k31_pro_max_reasoning"]],
  [/^Kimi-K2/, ["kimi_k2"]],
  [/^GLM-5\.3/, ["glm5_3_max_reasoning"]],
  [/^NVIDIA-Nemotron-3[\w.-]*Base/, ["role_colon"]],
  [/^NVIDIA-Nemotron-3(?:\.5|-Ultra)/, ["nemotron3_ultra"]],
  [/^NVIDIA-Nemotron-3/, ["nemotron3"]],
  [/^Inkling/, ["tml_v0"]]
]

/** The model's own name: without its organisation, and without a variant after a colon. */
const modelName = (model: string): string => {
  const path = model.split(":")[0]!
  return path.slice(path.indexOf("/") + 1)
}

/** The renderers that fit a model, or undefined if nothing is known of it. @internal */
export const recommended = (model: string): ReadonlyArray<string> | undefined =>
  families.find(([pattern]) => pattern.test(modelName(model)))?.[1]
