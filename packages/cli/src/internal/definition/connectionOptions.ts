/** Options of the commands that train or sample: which service, which base model, which tokenizer. */
import * as Options from "@effect/cli/Options"
import { flag, optionalText, repeatedText, text } from "./options.ts"

/** @internal */
export const checkpoints = text(
  "checkpoints",
  "Directory in which the embedded service stores checkpoints (default: ./checkpoints)"
).pipe(Options.withDefault("checkpoints"))

/** @internal */
export const modelDir = repeatedText(
  "model-dir",
  "Base model for the embedded service, beside effect-tinker/nano: a Hugging Face model directory or a GGUF file, as PATH or NAME=PATH"
)

/** @internal */
export const baseModel = optionalText(
  "model",
  "Base model, or for the embedded service its directory, GGUF file or Hugging Face repository (default: TINKER_BASE_MODEL, or effect-tinker/nano)"
).pipe(Options.withAlias("m"))

/** @internal */
export const connection = {
  embedded: flag("embedded", "Use the embedded service, even if the environment names another"),
  modelDir,
  checkpoints,
  tokenizer: optionalText("tokenizer", "Directory with the model's tokenizer.json (default: from the Hugging Face hub)")
}

/** @internal */
export const quantizedSampling = flag(
  "quantized-sampling",
  "In the embedded service, sample models in GGUF files by their weights in 4 or 8 bits: two to three times as fast, " +
    "about as exact as llama.cpp"
)
