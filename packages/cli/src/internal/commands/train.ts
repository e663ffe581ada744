/** `tinker init` and `tinker train`. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import { command } from "../definition/command.ts"
import { baseModel, connection } from "../definition/connectionOptions.ts"
import { argument, choice, flag, integer, number, optionalText, repeatedText, text } from "../definition/options.ts"

/** @internal */
export const init = command(
  "init",
  "Make a project: pinned versions, a data file, a training program and a test of it.",
  {
    directory: Args.text({ name: "directory" }).pipe(
      Args.withDescription("The directory to make, or an empty one (default: this one)"),
      Args.withDefault(".")
    ),
    packages: optionalText("packages", "Install this library from the packed tarballs in a directory, not a registry")
  },
  () => import("../handlers/init.ts").then((m) => m.init)
)

const options = {
  file: argument("file", "JSON Lines of conversations, of prompts and completions, or of texts; .gz and .zst too"),
  mix: repeatedText("mix", "Another file to mix in, as FILE or FILE=WEIGHT, where the first file has the weight 1"),
  renderer: optionalText("renderer", "How conversations are written (default: as the model knows them)"),
  trainOn: choice("train-on", "What of a conversation is trained"),
  maxLength: Options.integer("max-length").pipe(
    Options.withDescription("Longest example in tokens (default: what the model can read)"),
    Options.optional
  ),
  tooLong: choice("too-long", "What becomes of longer examples"),
  model: baseModel,
  rank: integer("rank", 16, "Rank of the LoRA adapter"),
  learningRate: Options.float("learning-rate").pipe(
    Options.withAlias("l"),
    Options.withDescription(
      "Highest learning rate (default: what is known for the model's family, 5e-3 for effect-tinker/nano)"
    ),
    Options.optional
  ),
  schedule: choice("schedule", "How the learning rate falls to 0"),
  warmUp: integer("warm-up", 0, "Steps in which the learning rate rises"),
  batchSize: integer("batch-size", 16, "Examples per step"),
  epochs: number("epochs", 3, "Number of passes over the examples"),
  steps: Options.integer("steps").pipe(
    Options.withDescription("Number of steps, instead of --epochs"),
    Options.optional
  ),
  seed: integer("seed", 0, "Random seed for the adapter and the order of the examples"),
  heldOut: number("held-out", 0.1, "Fraction of the records to hold out, unless they have a field split: test"),
  evalEvery: integer("eval-every", 20, "Measure the loss on held-out records after this many steps, 0 for at the ends"),
  saveEvery: integer("save-every", 50, "Save the state for --resume after this many steps, 0 for never"),
  name: text("name", "Name of the final checkpoints (default: final)").pipe(Options.withDefault("final")),
  output: optionalText("output", "Directory of the run (default: ./tinker-<file>)").pipe(Options.withAlias("o")),
  sampleEvery: integer("sample-every", 0, "Sample after this many steps, into samples.jsonl; 0 for never"),
  samplePrompt: repeatedText(
    "sample-prompt",
    "What to sample from: a message, or a text if there are no conversations"
  ),
  price: Options.float("price").pipe(
    Options.withDescription("US dollars per million tokens of training, to show what the run costs"),
    Options.optional
  ),
  watch: flag("watch", "Show the run in the browser while it goes on: prints the address of its page"),
  dryRun: flag("dry-run", "Show the first examples and what the run would take, without a service"),
  resume: flag("resume", "Resume the run in the output directory from its last saved state"),
  ...connection
}

/** @internal */
export const train = command(
  "train",
  "Fine-tune a model on a file of conversations, of prompts and completions, or of texts. " +
    "Without an API key it uses the embedded service.",
  options,
  () => import("../handlers/train.ts").then((m) => m.train)
)
