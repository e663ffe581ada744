/** The columns of `tinker run list`. */

/** The headers, by the names that `--columns` takes. @internal */
export const headers = {
  id: "Run ID",
  model: "Base Model",
  owner: "Owner",
  lora: "LoRA",
  updated: "Last Update",
  status: "Status",
  checkpoint: "Last Checkpoint",
  checkpoint_time: "Checkpoint Time"
} as const

/** @internal */
export type Name = keyof typeof headers

/** @internal */
export const names = Object.keys(headers) as ReadonlyArray<Name>

/** @internal */
export const defaults: ReadonlyArray<Name> = ["id", "model", "lora", "updated", "status"]

/** @internal */
export const isName = (text: string): text is Name => Object.hasOwn(headers, text)
