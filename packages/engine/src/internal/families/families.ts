/** The families of decoders that the engine runs. */
import type { Family } from "./family.ts"
import { gemma3 } from "./gemma3.ts"
import { llama } from "./llama.ts"
import { mistral } from "./mistral.ts"
import { phi3 } from "./phi3.ts"
import { qwen2 } from "./qwen2.ts"
import { qwen3 } from "./qwen3.ts"
import { smollm3 } from "./smollm3.ts"

/** @internal */
export const families: ReadonlyArray<Family> = [llama, mistral, qwen2, qwen3, smollm3, phi3, gemma3]

/** The family of a `model_type`. @internal */
export const find = (modelType: unknown): Family | undefined =>
  families.find(({ modelTypes, name }) => (modelTypes ?? [name]).includes(modelType as string))
