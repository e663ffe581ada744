/** The model card of an uploaded adapter. */
import type * as Weights from "@effect-tinker/api/Weights"

/** The README.md of a repository, with the metadata that the hub reads. @internal */
export const card = (options: {
  readonly path: string
  readonly repo: string
  readonly weights: Weights.WeightsInfoResponse | undefined
}): string => {
  const { path, repo, weights } = options
  const base = weights?.base_model
  const parts = [
    ["attention", weights?.train_attn],
    ["MLP", weights?.train_mlp],
    ["unembedding", weights?.train_unembed]
  ]
    .filter(([, isTrained]) => isTrained === true)
    .map(([name]) => name)
  const tags = ["tinker", "peft", "lora", ...(base === undefined ? [] : [`base_model:adapter:${base}`])]
  return [
    "---",
    ...(base === undefined ? [] : [`base_model: ${base}`]),
    "library_name: peft",
    "tags:",
    ...tags.map((tag) => `- ${tag}`),
    `tinker_path: ${path}`,
    "---",
    "",
    `# ${repo.split("/").pop()}`,
    "",
    `A LoRA adapter${base === undefined ? "" : ` of ${base}`}, fine-tuned with Tinker and saved as \`${path}\`.`,
    "",
    ...(weights?.lora_rank === undefined ? [] : [`- rank ${weights.lora_rank}`]),
    ...(parts.length === 0 ? [] : [`- on ${parts.join(", ")}`]),
    "",
    "```python",
    "from peft import AutoPeftModelForCausalLM",
    "",
    `model = AutoPeftModelForCausalLM.from_pretrained("${repo}", device_map="auto")`,
    "```",
    ""
  ].join("\n")
}

/** The checkpoint that a card was written for. @internal */
export const checkpointOf = (readme: string | undefined): string | undefined =>
  /tinker:\/\/[^\s`]+/.exec(readme ?? "")?.[0]
