/** The model card of an uploaded adapter: the README.md of its repository, or a block in one that a person wrote. */
import type * as Weights from "@effect-tinker/api/Weights"

const begin = "<!-- tinker:begin -->"
const end = "<!-- tinker:end -->"

/** The text between the markers, with the markers. */
const blockPattern = new RegExp(`${begin}(?:(?!${begin})[\\s\\S])*?${end}`)

/** @internal */
export interface Card {
  /** The checkpoint. */
  readonly path: string
  readonly repo: string
  /** Where the adapter is in the repository; undefined if it is on the default branch. */
  readonly branch: string | undefined
  readonly weights: Weights.WeightsInfoResponse | undefined
}

/** Names of models on the hub; anything else, such as a directory, the hub rejects as metadata. */
const isModelName = (name: string): boolean => /^[\w.-]+\/[\w.-]+$/.test(name)

/** Python code that loads the adapter, from the branch that it was pushed to. */
const code = ({ branch, repo, weights }: Card): ReadonlyArray<string> => {
  const revision = branch === undefined ? "" : `, revision=${JSON.stringify(branch)}`
  if (weights === undefined) {
    return [
      "from peft import AutoPeftModelForCausalLM",
      "",
      `model = AutoPeftModelForCausalLM.from_pretrained(${JSON.stringify(repo)}${revision}, device_map="auto")`
    ]
  }
  return [
    "from peft import PeftModel",
    "from transformers import AutoModelForCausalLM",
    "",
    `base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(weights.base_model)}, device_map="auto")`,
    `model = PeftModel.from_pretrained(base, ${JSON.stringify(repo)}${revision})`
  ]
}

const partsOf = (weights: Weights.WeightsInfoResponse | undefined): ReadonlyArray<string> =>
  (
    [
      ["attention", weights?.train_attn],
      ["MLP", weights?.train_mlp],
      ["unembedding", weights?.train_unembed]
    ] as const
  )
    .filter(([, isTrained]) => isTrained === true)
    .map(([name]) => name)

/** The text between the markers, and the markers. */
const block = (card: Card): string => {
  const { branch, path, weights } = card
  const base = weights?.base_model
  const parts = partsOf(weights)
  const details = [
    ...(weights?.lora_rank === undefined ? [] : [`- rank ${weights.lora_rank}`]),
    ...(parts.length === 0 ? [] : [`- on ${parts.join(", ")}`]),
    ...(branch === undefined ? [] : [`- on the branch \`${branch}\` of this repository`])
  ]
  return [
    begin,
    `A LoRA adapter${base === undefined ? "" : ` of ${base}`}, fine-tuned with Tinker and saved as \`${path}\`.`,
    "",
    ...(details.length === 0 ? [] : [...details, ""]),
    "```python",
    ...code(card),
    "```",
    end
  ].join("\n")
}

/** A README.md with the metadata that the hub reads. */
const make = (card: Card): string => {
  const base = card.weights?.base_model
  const named = base !== undefined && isModelName(base) ? base : undefined
  const tags = ["tinker", "peft", "lora", ...(named === undefined ? [] : [`base_model:adapter:${named}`])]
  return [
    "---",
    ...(named === undefined ? [] : [`base_model: ${named}`]),
    "library_name: peft",
    "tags:",
    ...tags.map((tag) => `- ${tag}`),
    `tinker_path: ${card.path}`,
    "---",
    "",
    `# ${card.repo.split("/").pop()}`,
    "",
    block(card),
    ""
  ].join("\n")
}

/**
 * The README.md with the card: a new one if there is none; else the block between the markers is replaced, or added at
 * the end, and the rest is unchanged.
 * @internal
 */
export const write = (readme: string | undefined, card: Card): string => {
  if (readme === undefined || readme.trim() === "") return make(card)
  const text = block(card)
  return blockPattern.test(readme)
    ? readme.replace(blockPattern, () => text)
    : `${readme.replace(/\s*$/, "")}\n\n${text}\n`
}

const pathPattern = /tinker:\/\/[^\s`"')<>\]]+/g

/**
 * The checkpoint that a README was written for, if it is not `path`: the one of its block or its metadata, else any that
 * it mentions.
 * @internal
 */
export const otherCheckpoint = (readme: string | undefined, path: string): string | undefined => {
  if (readme === undefined) return undefined
  const own = blockPattern.exec(readme)?.[0] ?? /^tinker_path:.*$/m.exec(readme)?.[0]
  const mentioned = [...(own ?? readme).matchAll(pathPattern)].map(([one]) => one)
  return mentioned.includes(path) ? undefined : mentioned[0]
}
