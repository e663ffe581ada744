/** `tinker checkpoint`, and `tinker export`. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import { command, group } from "../definition/command.ts"
import { checkpoints } from "../definition/connectionOptions.ts"
import {
  argument,
  choice,
  flag,
  limit,
  optionalChoice,
  optionalText,
  repeatedText,
  text
} from "../definition/options.ts"

const path = argument("checkpoint-path", "A tinker path, such as tinker://run-id/weights/0001")

const list = command(
  "list",
  "List checkpoints of one run, or of all runs.",
  {
    runId: optionalText("run-id", "Training run ID"),
    limit: limit("checkpoints when listing those of all runs"),
    checkpoints
  },
  () => import("../handlers/checkpoint/inspect.ts").then((m) => m.list)
)

const info = command("info", "Show details of a specific checkpoint.", { path }, () =>
  import("../handlers/checkpoint/inspect.ts").then((m) => m.info)
)

const publish = command("publish", "Make a checkpoint readable for everyone.", { path }, () =>
  import("../handlers/checkpoint/update.ts").then((m) => m.setPublic(true))
)

const unpublish = command("unpublish", "Make a checkpoint private again.", { path }, () =>
  import("../handlers/checkpoint/update.ts").then((m) => m.setPublic(false))
)

const setTtl = command(
  "set-ttl",
  "Set or remove the time to live of a checkpoint.",
  {
    path,
    ttl: Options.integer("ttl").pipe(
      Options.withDescription("TTL in seconds from now (the hosted service accepts 1 hour to 10 years)"),
      Options.optional
    ),
    remove: flag("remove", "Remove the expiration from the checkpoint")
  },
  () => import("../handlers/checkpoint/update.ts").then((m) => m.setTtl)
)

const remove = command(
  "delete",
  "Delete checkpoints permanently, by path or by filters on one run.",
  {
    paths: path.pipe(Args.repeated),
    runId: optionalText("run-id", "Delete all checkpoints of a training run"),
    type: optionalText("type", "Filter by type: weights, sampler_weights or external_weights"),
    before: optionalText("before", "Filter: created before this date (ISO 8601, UTC unless it has a zone)"),
    after: optionalText("after", "Filter: created after this date (ISO 8601, UTC unless it has a zone)"),
    yes: flag("yes", "Skip the confirmation").pipe(Options.withAlias("y"))
  },
  () => import("../handlers/checkpoint/delete.ts").then((m) => m.deleteCheckpoints)
)

const download = command(
  "download",
  "Download a checkpoint, into a directory named after it.",
  {
    path,
    output: optionalText("output", "Parent of the directory (default: the current one)").pipe(Options.withAlias("o")),
    force: flag("force", "Replace the directory if it exists")
  },
  () => import("../handlers/checkpoint/download.ts").then((m) => m.download)
)

const pushHf = command(
  "push-hf",
  "Upload a checkpoint to the Hugging Face hub, as a PEFT adapter.",
  {
    path,
    repo: optionalText("repo", "Repository, such as you/my-adapter (default: named after the run)").pipe(
      Options.withAlias("r")
    ),
    public: flag("public", "Create a public repository (default: private), or agree that an existing one is public"),
    revision: optionalText("revision", "Branch to upload to; created if it does not exist"),
    commitMessage: optionalText("commit-message", "Commit message"),
    createPr: flag("create-pr", "Open a pull request instead of uploading to the branch"),
    allowPattern: repeatedText("allow-pattern", "Upload only files whose names match, such as '*.json'"),
    ignorePattern: repeatedText("ignore-pattern", "Skip files whose names match"),
    noModelCard: flag("no-model-card", "Leave README.md as it is (default: create it, or add a block to yours)")
  },
  () => import("../handlers/checkpoint/pushHf.ts").then((m) => m.pushHf)
)

/** @internal */
export const checkpoint = group("checkpoint", "Manage checkpoints.", [
  list,
  info,
  publish,
  unpublish,
  setTtl,
  remove,
  download,
  pushHf
])

/** @internal */
export const exportCommand = command(
  "export",
  "Write a checkpoint for other programs: its adapter, or a model with the adapter merged in.",
  {
    checkpoint: argument("checkpoint", "A tinker path, or a directory with an adapter as PEFT keeps it"),
    kind: choice("format export", "The adapter (peft), or a merged model: a directory (safetensors), a file (gguf)"),
    type: optionalChoice("type", "How a GGUF file has its matrices (default: f16)"),
    out: text("out", "The directory or file to write").pipe(Options.withAlias("o")),
    base: optionalText(
      "base",
      "The base model: a directory, a GGUF file or a Hugging Face repository (default: what the adapter names)"
    ),
    checkpoints,
    force: flag("force", "Replace what is there")
  },
  () => import("../handlers/export.ts").then((m) => m.exportCheckpoint)
)
