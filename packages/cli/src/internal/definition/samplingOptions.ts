/** The options that `sample` and `chat` share. */
import * as Options from "@effect/cli/Options"
import { baseModel, connection, quantizedSampling } from "./connectionOptions.ts"
import { flag, integer, number, optionalText, repeatedText } from "./options.ts"

/** @internal */
export const sampling = {
  model: baseModel,
  checkpoint: optionalText("checkpoint", "Sample from saved weights: tinker://<run id>/sampler_weights/<name>").pipe(
    Options.withAlias("c")
  ),
  maxTokens: integer("max-tokens", 256, "Maximum number of tokens to generate"),
  temperature: number("temperature", 1, "Sampling temperature; 0 takes the most likely token"),
  topP: number("top-p", 1, "Nucleus sampling: sample from the most likely tokens with this total probability"),
  topK: integer("top-k", -1, "Sample from this many of the most likely tokens, -1 for all"),
  seed: Options.integer("seed").pipe(
    Options.withDescription("Random seed, which makes samples reproducible"),
    Options.optional
  ),
  stop: repeatedText("stop", "Stop sequence"),
  stream: flag(
    "stream",
    "Show text as it is generated, over several requests; the default on a terminal with the embedded service"
  ),
  noStream: flag("no-stream", "Show the text once it is complete"),
  quantizedSampling,
  ...connection
}
