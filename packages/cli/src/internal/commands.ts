import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import type * as Io from "./io.ts"
import type * as output from "./output.ts"
import * as runColumns from "./runColumns.ts"

/**
 * What can be typed, apart from what it does: a handler, and all that it needs, is loaded when it is run, so that help
 * and bad input cost nothing.
 */

/** What handlers are given. @internal */
export type Environment = Io.Io | FileSystem.FileSystem | Path.Path

/** @internal */
export interface Global {
  readonly format: output.Format
}

/** A group of commands was named, and none of them. @internal */
export class MissingCommand extends Data.TaggedError("MissingCommand")<{ readonly name: string }> {}

const root = Command.make("tinker", {
  format: Options.choice("format", ["table", "json"]).pipe(
    Options.withAlias("f"),
    Options.withDefault("table" as const),
    Options.withDescription("Output format (default: table)")
  )
}).pipe(
  Command.withHandler(() => new MissingCommand({ name: "tinker" })),
  Command.withDescription("Fine-tune models with Tinker, and manage what came of it.")
)

type Handler<A> = (options: A & Global) => Effect.Effect<void, unknown, Environment>

/** The values that a command takes are known to its handler alone. */
type Leaf = Command.Command<string, Environment | Command.Command.Context<"tinker">, unknown, unknown>

/** A command whose handler is loaded when it is run. */
const leaf = <const Config extends Command.Command.Config>(
  name: string,
  description: string,
  config: Config,
  load: () => Promise<Handler<Command.Command.ParseConfig<Config>>>
): Leaf =>
  Command.make(name, config, (options) =>
    Effect.flatMap(root, ({ format }) =>
      Effect.flatMap(Effect.promise(load), (handler) => handler({ ...(options as object), format } as never))
    )
  ).pipe(Command.withDescription(description)) as unknown as Leaf

/** The names below the name of each group. */
const below = new Map<string, ReadonlySet<string>>()

/** Commands below a common name. */
const group = (name: string, description: string, commands: readonly [Leaf, ...Array<Leaf>]): Leaf => {
  below.set(name, new Set(commands.flatMap((command) => Array.from(Command.getNames(command)))))
  return Command.make(name, {}, () => new MissingCommand({ name })).pipe(
    Command.withDescription(description),
    Command.withSubcommands(commands)
  ) as unknown as Leaf
}

const text = (name: string, description: string) => Options.text(name).pipe(Options.withDescription(description))
const optionalText = (name: string, description: string) => text(name, description).pipe(Options.optional)
const flag = (name: string, description: string) => Options.boolean(name).pipe(Options.withDescription(description))
const argument = (name: string, description: string) => Args.text({ name }).pipe(Args.withDescription(description))

const version = leaf("version", "Show the version.", {}, () => import("./handlers/version.ts").then((m) => m.version))

const limit = (what: string) =>
  Options.integer("limit").pipe(
    Options.withDefault(20),
    Options.withDescription(`Maximum number of ${what} (default: 20, use --limit=0 for all)`)
  )

const run = group("run", "Manage training runs.", [
  leaf(
    "list",
    "List all training runs.",
    {
      limit: limit("runs to fetch"),
      columns: optionalText(
        "columns",
        `Columns to display (comma-separated): ${runColumns.names.join(", ")}. Default: ${runColumns.defaults.join(",")}`
      ).pipe(Options.withAlias("c"))
    },
    () => import("./handlers/run.ts").then((m) => m.list)
  ),
  leaf("info", "Show details of a specific run.", { runId: argument("run-id", "The id of a training run") }, () =>
    import("./handlers/run.ts").then((m) => m.info)
  )
])

const path = argument("checkpoint-path", "A tinker path, such as tinker://run-id/weights/0001")

const checkpoint = group("checkpoint", "Manage checkpoints.", [
  leaf(
    "list",
    "List checkpoints of one run, or of all runs.",
    { runId: optionalText("run-id", "Training run ID"), limit: limit("checkpoints when listing those of all runs") },
    () => import("./handlers/checkpoint.ts").then((m) => m.list)
  ),
  leaf("info", "Show details of a specific checkpoint.", { path }, () =>
    import("./handlers/checkpoint.ts").then((m) => m.info)
  ),
  leaf("publish", "Make a checkpoint readable for everyone.", { path }, () =>
    import("./handlers/checkpoint.ts").then((m) => m.setPublic(true))
  ),
  leaf("unpublish", "Make a checkpoint private again.", { path }, () =>
    import("./handlers/checkpoint.ts").then((m) => m.setPublic(false))
  ),
  leaf(
    "set-ttl",
    "Set or remove the time to live of a checkpoint.",
    {
      path,
      ttl: Options.integer("ttl").pipe(
        Options.withDescription("TTL in seconds from now (the hosted service takes 1 hour to 10 years)"),
        Options.optional
      ),
      remove: flag("remove", "Remove the expiration from the checkpoint")
    },
    () => import("./handlers/checkpoint.ts").then((m) => m.setTtl)
  ),
  leaf(
    "delete",
    "Delete checkpoints permanently: by their paths, or all of a run that the filters leave.",
    {
      paths: path.pipe(Args.repeated),
      runId: optionalText("run-id", "Delete all checkpoints of a training run"),
      type: optionalText("type", "Filter by type: weights, sampler_weights or external_weights"),
      before: optionalText("before", "Filter: created before this date (ISO 8601, UTC unless it has a zone)"),
      after: optionalText("after", "Filter: created after this date (ISO 8601, UTC unless it has a zone)"),
      yes: flag("yes", "Skip the confirmation").pipe(Options.withAlias("y"))
    },
    () => import("./handlers/checkpoint.ts").then((m) => m.remove)
  ),
  leaf(
    "download",
    "Download a checkpoint into a directory named after it.",
    {
      path,
      output: optionalText("output", "Parent of the directory (default: the current one)").pipe(Options.withAlias("o")),
      force: flag("force", "Replace the directory if it exists")
    },
    () => import("./handlers/download.ts").then((m) => m.download)
  ),
  leaf(
    "push-hf",
    "Upload a checkpoint to the Hugging Face hub, as an adapter that PEFT opens.",
    {
      path,
      repo: optionalText("repo", "Repository, such as you/my-adapter (default: named after the run)").pipe(
        Options.withAlias("r")
      ),
      public: flag("public", "Make a new repository public (default: private)"),
      revision: optionalText("revision", "Branch to upload to; made when it is not there"),
      commitMessage: optionalText("commit-message", "Message of the commit"),
      createPr: flag("create-pr", "Open a pull request instead of uploading to the branch"),
      allowPattern: text("allow-pattern", "Upload only files whose names match; can be repeated").pipe(
        Options.repeated
      ),
      ignorePattern: text("ignore-pattern", "Leave out files whose names match; can be repeated").pipe(
        Options.repeated
      ),
      noModelCard: flag("no-model-card", "Do not write a README.md")
    },
    () => import("./handlers/pushHf.ts").then((m) => m.pushHf)
  )
])

const session = group("session", "Manage sessions.", [
  leaf(
    "export-trace",
    "Export a session's timeline as a Perfetto trace, to open in https://ui.perfetto.dev.",
    {
      sessionId: argument("session-id", "The id of a session"),
      output: optionalText("output", "Output file path (default: ./<session-id>.pftrace)").pipe(Options.withAlias("o")),
      urlOnly: flag("url-only", "Print the signed download URL instead of downloading the trace")
    },
    () => import("./handlers/session.ts").then((m) => m.exportTrace)
  )
])

const billing = group("billing", "View billing usage.", [
  leaf(
    "usage",
    "Show hourly billing usage of your organization.",
    {
      startingOn: argument("starting-on", "RFC 3339 time on a UTC hour, such as 2026-07-13T00:00:00Z"),
      endingBefore: argument("ending-before", "RFC 3339 time on a UTC hour, at most 14 days later"),
      csv: optionalText("csv", "Write usage rows as CSV to this path instead ('-' for stdout)"),
      sessionsCsv: optionalText(
        "sessions-csv",
        "Write session_id and user_metadata of each session as CSV to this path ('-' for stdout)"
      )
    },
    () => import("./handlers/billing.ts").then((m) => m.usage)
  ),
  leaf(
    "checkpoint-storage",
    "Show the storage that checkpoints take now, and what it costs a month.",
    {
      projectId: optionalText("project-id", "Only show storage in this project"),
      csv: optionalText("csv", "Write rows as CSV to this path instead ('-' for stdout)")
    },
    () => import("./handlers/billing.ts").then((m) => m.checkpointStorage)
  )
])

const model = group("model", "List available models.", [
  leaf(
    "list",
    "List the models that you can train or sample from.",
    {
      substring: argument("substring", "Only models whose name contains this, ignoring case").pipe(Args.optional)
    },
    () => import("./handlers/model.ts").then((m) => m.list)
  )
])

const auth = group("auth", "Manage the stored API key.", [
  leaf("login", "Store an API key, which commands and programs then use.", {}, () =>
    import("./handlers/auth.ts").then((m) => m.login)
  ),
  leaf("logout", "Remove the stored API key.", {}, () => import("./handlers/auth.ts").then((m) => m.logout)),
  leaf("status", "Check that there are credentials, and that the service takes them.", {}, () =>
    import("./handlers/auth.ts").then((m) => m.status)
  ),
  leaf("whoami", "Show the user and the organization of the credentials.", {}, () =>
    import("./handlers/auth.ts").then((m) => m.whoami)
  )
])

const number = (name: string, fallback: number, description: string) =>
  Options.float(name).pipe(
    Options.withDescription(`${description} (default: ${fallback})`),
    Options.withDefault(fallback)
  )
const integer = (name: string, fallback: number, description: string) =>
  Options.integer(name).pipe(
    Options.withDescription(`${description} (default: ${fallback})`),
    Options.withDefault(fallback)
  )

const checkpoints = text("checkpoints", "Where the embedded service keeps checkpoints (default: ./checkpoints)").pipe(
  Options.withDefault("checkpoints")
)

const modelDir = text(
  "model-dir",
  "A base model of the embedded service in Hugging Face's form, as DIR or NAME=DIR; can be repeated. " +
    "effect-tinker/nano is always there"
).pipe(Options.repeated)

const baseModel = optionalText("model", "Base model (default: TINKER_BASE_MODEL, or effect-tinker/nano)").pipe(
  Options.withAlias("m")
)

/** Which service, and which tokenizer. */
const connection = {
  embedded: flag("embedded", "Use the embedded service, whatever the environment says"),
  modelDir,
  checkpoints,
  tokenizer: optionalText("tokenizer", "Directory with the model's tokenizer.json (default: from the Hugging Face hub)")
}

const train = leaf(
  "train",
  "Fine-tune a model on a JSON Lines file of conversations, or of prompts and completions. Without a key it trains here.",
  {
    file: argument("file", '{"messages": [...]} or {"prompt": ..., "completion": ...} a line'),
    model: baseModel,
    rank: integer("rank", 16, "Rank of the adapter"),
    learningRate: Options.float("learning-rate").pipe(
      Options.withAlias("l"),
      Options.withDescription("At the first step; it falls to 0 (default: 2e-4, 5e-3 for effect-tinker/nano)"),
      Options.optional
    ),
    batchSize: integer("batch-size", 16, "Examples of a step"),
    epochs: number("epochs", 3, "Times that each example is trained on"),
    steps: Options.integer("steps").pipe(Options.withDescription("Steps, in place of epochs"), Options.optional),
    seed: integer("seed", 0, "Of the adapter and the order of examples"),
    heldOut: number("held-out", 0.1, "Share of the records to hold out, where they do not say it as split: test"),
    saveEvery: integer("save-every", 50, "Save the state to go on from after so many steps, 0 for never"),
    name: text("name", "Name of the checkpoints at the end (default: final)").pipe(Options.withDefault("final")),
    output: optionalText("output", "Directory for metrics and plot (default: ./tinker-<file>)").pipe(
      Options.withAlias("o")
    ),
    resume: flag("resume", "Go on with the run in the output directory from its last saved state"),
    ...connection
  },
  () => import("./handlers/train.ts").then((m) => m.train)
)

const sampling = {
  model: baseModel,
  checkpoint: optionalText("checkpoint", "Sample from saved weights: tinker://<run id>/sampler_weights/<name>").pipe(
    Options.withAlias("c")
  ),
  maxTokens: integer("max-tokens", 256, "Tokens of an answer, at most"),
  temperature: number("temperature", 1, "0 takes the most likely token"),
  topP: number("top-p", 1, "Sample from the most likely tokens of this share"),
  topK: integer("top-k", -1, "Sample from so many of the most likely tokens, -1 for all"),
  seed: Options.integer("seed").pipe(Options.withDescription("Makes samples repeatable"), Options.optional),
  stop: text("stop", "Text that ends an answer; can be repeated").pipe(Options.repeated),
  stream: flag(
    "stream",
    "Show text as it comes, in several requests; the default on a terminal with the embedded service"
  ),
  noStream: flag("no-stream", "Show text when it is whole"),
  ...connection
}

const sample = leaf(
  "sample",
  "Sample from a base model or a checkpoint.",
  {
    prompt: argument("prompt", "The prompt (default: standard input)").pipe(Args.optional),
    num: integer("num-samples", 1, "Independent samples").pipe(Options.withAlias("n")),
    chat: flag("chat", "The prompt is a message, to be answered: apply the chat template"),
    ...sampling
  },
  () => import("./handlers/sample.ts").then((m) => m.sample)
)

const chat = leaf(
  "chat",
  "Talk with a base model or a checkpoint, a line a message.",
  { system: optionalText("system", "The system's message"), ...sampling },
  () => import("./handlers/sample.ts").then((m) => m.chat)
)

const serve = leaf(
  "serve",
  "Run the embedded service: any client trains and samples with it, without a GPU.",
  {
    host: text("host", "Address to listen on; one that other machines reach needs --key (default: 127.0.0.1)").pipe(
      Options.withDefault("127.0.0.1")
    ),
    port: Options.integer("port").pipe(
      Options.withDescription("Port to listen on, 0 for any free one (default: 8700)"),
      Options.withDefault(8700)
    ),
    modelDir,
    checkpoints,
    key: text("key", "Take requests with this key alone; can be repeated").pipe(Options.repeated)
  },
  () => import("./handlers/serve.ts").then((m) => m.serve)
)

const doctor = leaf(
  "doctor",
  "Check the key, the URL, the clock, the service and the tokenizer, and say what to do.",
  { model: baseModel },
  () => import("./handlers/doctor.ts").then((m) => m.doctor)
)

/** @internal */
export const tinker = root.pipe(
  Command.withSubcommands([auth, billing, chat, checkpoint, doctor, model, run, sample, serve, session, train, version])
)

const top = new Set(HashMap.keys(Command.getSubcommands(tinker)))

/** The names in a command line that lead to its command. @internal */
export const pathOf = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = args.findIndex((arg) => top.has(arg))
  if (at < 0) return []
  const name = args[at]!
  const leaf = args.slice(at + 1).find((arg) => below.get(name)?.has(arg) === true)
  return leaf === undefined ? [name] : [name, leaf]
}
