/** The width of the models whose learning rate is known, by their names. */

/** Parts of names, in lower case, most special first, and the hidden size of the models that contain them. */
const calibrated: ReadonlyArray<readonly [part: string, hiddenSize: number]> = [
  ["llama-3.2-1b", 2048],
  ["llama-3.2-3b", 3072],
  ["llama-3.1-8b", 4096],
  ["llama-3.1-70b", 8192],
  ["llama-3.3-70b", 8192],
  ["qwen3-4b", 2560],
  ["qwen3-8b", 4096],
  ["qwen3-32b", 5120],
  ["qwen3-30b-a3b", 2048],
  ["qwen3-vl-30b-a3b", 2048],
  ["qwen3-235b-a22b", 4096],
  ["qwen3-vl-235b-a22b", 4096],
  ["qwen3.5-4b", 2560],
  ["qwen3.5-9b", 4096],
  ["qwen3.5-27b", 5120],
  ["qwen3.6-27b", 5120],
  ["qwen3.8-27b", 5120],
  ["qwen3.5-35b-a3b", 2048],
  ["qwen3.6-35b-a3b", 2048],
  ["qwen3.5-397b-a17b", 4096]
]

/** Whether the part stands in the name as a whole: `qwen3-4b` is not in `qwen3-4b5`. */
const contains = (name: string, part: string): boolean => {
  const at = name.indexOf(part)
  return at >= 0 && !/[a-z0-9.]/.test(name[at + part.length] ?? "")
}

/** The hidden size of a model by its name in lower case; `undefined` if it is not in the table. @internal */
export const hiddenSizeOf = (name: string): number | undefined =>
  calibrated.find(([part]) => contains(name, part))?.[1]

/** Families that are served and for which no exponent was measured. @internal */
export const uncalibratedFamilies = ["deepseek", "kimi", "gpt-oss", "nemotron", "glm", "inkling"]
